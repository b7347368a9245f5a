"""What the platform is told when the signer can't be reached: the attempt waits, and is gone on with later."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import AttemptUpdate
from forge_sdk.models.statuses import AttemptState
from forge_worker.jobs import JobContext


@asynccontextmanager
async def signature_awaited(context: JobContext, release_id: UUID) -> AsyncIterator[None]:
    """Within it an unreachable signer puts the attempt into `awaiting_signature`; the error goes on as it is.

    Nothing that is made there is found under its tag, so submitting the job again finishes it: an artifact from its sealed
    copy, a release from the commit.
    """
    try:
        yield
    except PlatformError as error:
        if error.code is ErrorCode.SIGNING_FAILED and error.transient:
            body = AttemptUpdate(job_id=context.job.id, token=context.token, state=AttemptState.AWAITING_SIGNATURE)
            await context.services.api.update_attempt(release_id, body)
        raise
