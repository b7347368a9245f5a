"""Leases from the API: one job at a time writes the referrers of an image.

A registry without the referrers API keeps them in one tag, which two writers would overwrite for each other.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forge_sdk.errors import ErrorCode, PlatformError, TransientError
from forge_sdk.logging import get_logger
from forge_sdk.models.api import LeaseRequest
from forge_worker.jobs import JobContext

HOLD_S = 600
"""Nobody waits so long for a worker that died: the job's next delivery takes the same lease again at once."""
WAIT_S = HOLD_S + 60.0
POLL_S = 0.5

logger = get_logger(__name__)


@asynccontextmanager
async def leased(context: JobContext, image: str) -> AsyncIterator[None]:
    """Hold the lease on the referrers of `image` (`<repository>:<tag>`).

    Raises `TransientError` where other jobs hold it for `WAIT_S`, `stale_token` where another worker has the job now.
    """
    await _taken(context, image)
    try:
        yield
    finally:
        try:
            await context.services.api.lease(_request(context, image, 0))
        except PlatformError as error:
            logger.warning("lease_not_given_back", image=image, error=error.message)


async def _taken(context: JobContext, image: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not await context.services.api.lease(_request(context, image, HOLD_S)):
        if time.monotonic() > deadline:
            raise TransientError(
                f"other jobs have been writing referrers of {image} for {WAIT_S:.0f} s",
                code=ErrorCode.TIMEOUT,
                component="worker",
            )
        await asyncio.sleep(POLL_S)


def _request(context: JobContext, image: str, seconds: int) -> LeaseRequest:
    return LeaseRequest(subject=image, job_id=context.job.id, token=context.token, seconds=seconds)
