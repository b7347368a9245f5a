"""Reading the envelope of a job, and what can be said of one that can't be read."""

import json
from uuid import UUID

from nats.aio.msg import Msg
from pydantic import ValidationError

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.messaging import QUEUE_OF_TYPE, Queue
from forge_sdk.models.base import SCHEMA_VERSION, UnsupportedSchemaVersionError, check_schema_version
from forge_sdk.models.jobs import Job

REPLY_PARTS = 9
"""Parts of a reply subject without domain and account."""


def read_envelope(data: bytes, queue: Queue) -> Job:
    """The job in `data`, of a type that belongs to `queue`.

    Raises `PlatformError`: `version_unsupported`, or `validation_error` with every field that is wrong.
    """
    try:
        job = Job.model_validate_json(data)
    except ValidationError as error:
        raise _unreadable(data, error) from error
    if QUEUE_OF_TYPE[job.type] is not queue:
        raise PlatformError(
            f"a job of type {job.type} came to pool {queue.pool}, it belongs to {QUEUE_OF_TYPE[job.type].pool}",
            code=ErrorCode.VALIDATION_ERROR,
            component="worker",
        )
    return job


def envelope_identity(data: bytes, subject: str) -> tuple[UUID | None, str]:
    """Job id and inbox of an envelope that can't be read, as far as they can be; the id stands in the subject too."""
    values = _object(data)
    reply_to = values.get("reply_to")
    for candidate in (values.get("id"), subject.rpartition(".")[2]):
        try:
            return UUID(str(candidate)), reply_to if isinstance(reply_to, str) else ""
        except ValueError:
            continue
    return None, ""


def deliveries(message: Msg) -> int:
    """How often JetStream has delivered the message, this time included.

    It stands in the reply subject (ADR-15 of NATS) behind stream and consumer, which domain and account may precede; `Msg.metadata`
    makes objects of everything in it, for each job.
    """
    parts = message.reply.split(".")
    return int(parts[4] if len(parts) == REPLY_PARTS else parts[6])


def _unreadable(data: bytes, error: ValidationError) -> PlatformError:
    version = str(_object(data).get("schemaVersion", SCHEMA_VERSION))
    try:
        check_schema_version(version)
    except UnsupportedSchemaVersionError as unsupported:
        return PlatformError(str(unsupported), code=ErrorCode.VERSION_UNSUPPORTED, component="worker")
    problems = "; ".join(f"{'.'.join(map(str, found['loc'])) or 'job'}: {found['msg']}" for found in error.errors())
    return PlatformError(
        f"the job's envelope is invalid: {problems}", code=ErrorCode.VALIDATION_ERROR, component="worker"
    )


def _object(data: bytes) -> dict[str, object]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
