"""Logs that are still being written."""
