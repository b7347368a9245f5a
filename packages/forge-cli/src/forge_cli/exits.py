"""Exit codes of `forge`."""

from enum import IntEnum


class Exit(IntEnum):
    """What a script can tell from the exit code."""

    SUCCESS = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    CANCELLED = 130
