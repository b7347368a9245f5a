"""One deadline for a whole run, and retry within it."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
BASE_DELAY_S = 0.25
MAX_DELAY_S = 8.0


class TransientFailure(Exception):  # noqa: N818 - never leaves this package
    """Trying again may help, after `retry_after` seconds where the other side said so."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_after = code, message, retry_after


class Deadline:
    """A moment `seconds` from now, by a clock that doesn't jump."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; not below 0."""
        return max(0.0, self._end - time.monotonic())

    def retry(self, operation: Callable[[], Result]) -> Result:
        """The result of `operation`, tried again with growing pauses while it raises `TransientFailure`.

        The last failure is raised once the next pause would end after the deadline.
        """
        attempt = 0
        while True:
            try:
                return operation()
            except TransientFailure as failure:
                pause = _pause(attempt, failure.retry_after)
                if pause >= self.remaining:
                    raise
            time.sleep(pause)
            attempt += 1


def _pause(attempt: int, retry_after: float | None) -> float:
    if retry_after is not None:
        return retry_after
    import random

    delay = min(MAX_DELAY_S, BASE_DELAY_S * 2.0**attempt)
    return delay + random.uniform(0, delay / 2)  # noqa: S311 - not for secrets
