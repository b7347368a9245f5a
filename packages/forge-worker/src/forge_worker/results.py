"""Making results of jobs, and moving large outputs to object storage."""

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, JsonValue
from pydantic_core import to_json

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.messaging import MAX_INLINE_RESULT
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.object_storage import ObjectStore
from forge_sdk.secrets import Masker
from forge_sdk.storage_keys import result_key

Status = Literal["success", "failed", "cancelled"]
ENVELOPE_BYTES = 20_000
"""Room for everything of an entry that is not the result's output."""


def make_result(
    job_id: UUID,
    status: Status,
    *,
    worker: str,
    started_at: datetime,
    output: BaseModel | None = None,
    error: ErrorDetail | None = None,
) -> JobResult:
    """A result that ends now."""
    values = output.model_dump(mode="json", by_alias=True) if output is not None else None
    return JobResult(
        job_id=job_id,
        status=status,
        output=values,
        error=error,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        worker=worker,
    )


async def fit(result: JobResult, job: Job, storage: ObjectStore) -> JobResult:
    """The result as it may travel: above 1 MB its output goes to object storage and leaves a reference.

    Raises `PlatformError` of object storage.
    """
    data = to_json(result.output)
    room = MAX_INLINE_RESULT - ENVELOPE_BYTES - (len(to_json(result.error)) if result.error is not None else 0)
    if len(data) <= room or result.output is None:
        return result
    key = result_key(job.run_id, job.id)
    await storage.put(key, data, content_type="application/json")
    return result.model_copy(update={"output": None, "output_ref": key})


def encode_result(result: JobResult) -> bytes:
    """The result as it is sent."""
    return result.model_dump_json(by_alias=True).encode()


def masked_detail(error: PlatformError, masker: Masker) -> ErrorDetail:
    """The error's chain with every secret that the job resolved masked."""
    return ErrorDetail.model_validate(_masked(error.to_detail().model_dump(mode="json"), masker))


def lost_error(losses: int) -> PlatformError:
    """The error of a job whose workers died under it again and again."""
    return PlatformError(
        f"the job lost its worker {losses} times: it may need more memory than a worker has, or ends the worker; look at the "
        "workers' own logs",
        code=ErrorCode.WORKER_LOST,
        component="worker",
        context={"losses": losses},
    )


def undeliverable_error(deliveries: int) -> PlatformError:
    """The error of a job that was given back until JetStream would not deliver it any more."""
    return PlatformError(
        f"the job was given back {deliveries} times by workers that were stopped: give workers a longer drain_grace_s, "
        "then retry the run",
        code=ErrorCode.WORKER_LOST,
        component="worker",
        context={"deliveries": deliveries},
    )


def _masked(value: JsonValue, masker: Masker) -> JsonValue:
    if isinstance(value, str):
        return masker.text(value)
    if isinstance(value, dict):
        return {key: _masked(item, masker) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, masker) for item in value]
    return value
