"""Releases and deployments, as the commands show and compare them."""
