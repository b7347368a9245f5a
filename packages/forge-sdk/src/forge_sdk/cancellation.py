"""Cancellation that gets lost: `asyncio.wait_for` of Python 3.11, by which nats-py waits for answers, swallows one that meets the answer."""

import asyncio


def is_cancelled() -> bool:
    """Whether somebody wants the current task to end, also where what it awaited kept that to itself.

    A loop that is ended by cancelling it asks this each time, else it may go on for ever with those who wait for its end.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
