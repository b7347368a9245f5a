"""Keyword arguments that all servers take."""

from typing import TypedDict


class StartOptions(TypedDict, total=False):
    """Timeouts in seconds; see `Server`."""

    start_timeout: float
    stop_timeout: float
    lock_timeout: float
