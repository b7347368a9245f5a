"""Cancellations that get lost.

`asyncio.wait_for` of Python 3.11, by which nats-py waits for answers, swallows one that meets the answer; and what fails
while a cancelled block puts things in order takes the place of the cancellation.
"""

import asyncio


async def pause(seconds: float) -> None:
    """Sleep, in a loop that goes on until it is cancelled: a cancellation that was lost before takes effect here.

    Without it such a loop may go on for ever, with those who wait for its end. Not for pauses of what has to be done also after a
    cancellation.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)
