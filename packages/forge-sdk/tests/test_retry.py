import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_sdk.errors import ConfigurationError, TransientError
from forge_sdk.retry import MAX_RETRY_AFTER, RetryPolicy

FAST = RetryPolicy(attempts=4, base_delay=0.001, max_delay=0.002, jitter=0.001)


def failing(times: int, error: Exception):
    calls: list[int] = []

    async def operation() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return operation, calls


async def test_passing_failures_are_repeated():
    operation, calls = failing(3, TransientError("x"))
    assert await FAST.call(operation) == "done"
    assert len(calls) == 4


async def test_the_last_error_is_raised_as_it_is():
    error = TransientError("still down")
    operation, calls = failing(9, error)
    with pytest.raises(TransientError) as caught:
        await FAST.call(operation)
    assert caught.value is error
    assert len(calls) == 4


async def test_lasting_failures_are_not_repeated():
    operation, calls = failing(9, ConfigurationError("wrong"))
    with pytest.raises(ConfigurationError):
        await FAST.call(operation)
    assert len(calls) == 1


async def test_every_retry_is_told():
    told: list[tuple[int, str]] = []
    operation, _ = failing(2, TimeoutError("slow"))
    await FAST.call(operation, on_retry=lambda number, error: told.append((number, str(error))))
    assert told == [(1, "slow"), (2, "slow")]


@given(st.integers(0, 30), st.floats(0.1, 10), st.floats(1, 100), st.floats(0, 2))
def test_pauses_follow_the_formula(attempt, base, limit, jitter):
    delay = RetryPolicy(base_delay=base, max_delay=limit, jitter=jitter).delay(attempt)
    assert min(limit, base * 2**attempt) <= delay <= min(limit, base * 2**attempt) + jitter


def test_retry_after_wins_but_is_bounded():
    assert RetryPolicy().delay(0, retry_after=7) == 7
    assert RetryPolicy().delay(0, retry_after=10**9) == MAX_RETRY_AFTER
