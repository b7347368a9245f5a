"""Contracts of Catalyst Forge: what plugins, services and clients agree on."""

SDK_VERSION = "0.1.0"
"""Version of this distribution; plugins are loaded when they were written for the same major version."""
