"""Deployments: environments and their policies, requests, and their execution."""
