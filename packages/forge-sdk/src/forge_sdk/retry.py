"""Retry with exponential backoff, one implementation for everything.

`delay = min(max_delay, base_delay * 2**attempt) + uniform(0, jitter)`; a `Retry-After` of the other side wins.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from forge_sdk.errors import PlatformError

if TYPE_CHECKING:
    import tenacity

Result = TypeVar("Result")

MAX_RETRY_AFTER = 300.0
"""Seconds; a longer `Retry-After` is cut to this, so that a hostile server can't park a worker."""


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: what an error of ours says itself, and time-outs and connection errors."""
    if isinstance(error, PlatformError):
        return error.transient
    return isinstance(error, TimeoutError | ConnectionError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which pauses (seconds) something is tried again."""

    attempts: int = 5
    base_delay: float = 1.0
    max_delay: float = 60.0
    jitter: float = 1.0

    def delay(self, attempt: int, retry_after: float | None = None) -> float:
        """Seconds to wait after the failed try number `attempt`, which counts from 0."""
        if retry_after is not None:
            return min(retry_after, MAX_RETRY_AFTER)
        return min(self.max_delay, self.base_delay * 2.0**attempt) + random.uniform(0, self.jitter)  # noqa: S311 - not for secrets

    async def call(
        self,
        operation: Callable[[], Awaitable[Result]],
        *,
        retry_on: Callable[[BaseException], bool] = is_transient,
        on_retry: Callable[[int, BaseException], None] | None = None,
    ) -> Result:
        """The result of `operation`, tried again while it fails with an error that `retry_on` accepts.

        `on_retry` is told the number of the failed try (from 1) and its error. The last error is raised as it is.
        """
        try:
            # Nearly all operations succeed at once, and then need nothing of what trying again takes.
            return await operation()
        except Exception as error:
            if self.attempts <= 1 or not retry_on(error):
                raise
            failures = [error]

        import tenacity

        def before_sleep(state: tenacity.RetryCallState) -> None:
            if on_retry is not None and state.outcome is not None:
                on_retry(state.attempt_number, state.outcome.exception() or RuntimeError())

        async def attempt() -> Result:
            if failures:
                raise failures.pop()
            return await operation()

        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception(retry_on),
            before_sleep=before_sleep,
            reraise=True,
        )
        return await retrying(attempt)

    def _wait(self, state: "tenacity.RetryCallState") -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        return self.delay(state.attempt_number - 1, getattr(error, "retry_after", None))


DEFAULT_RETRY = RetryPolicy()
WORKER_UNAVAILABLE_RETRY = RetryPolicy(attempts=3)
