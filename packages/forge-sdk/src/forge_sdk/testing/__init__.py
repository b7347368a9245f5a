"""Helpers for the tests of plugins (extra `testing`)."""

from forge_sdk.testing.context import LocalContext

__all__ = ["LocalContext"]
