"""Workflow engines."""
