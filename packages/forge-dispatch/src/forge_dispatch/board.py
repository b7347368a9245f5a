"""What a dispatcher does on NATS: publish a job, read and finish its entry, cancel, purge."""

from uuid import UUID

import nats.js.errors
from nats.aio.client import Client
from pydantic import ValidationError

from forge_dispatch.failures import COMPONENT, translated
from forge_dispatch.settings import DispatcherSettings
from forge_sdk import telemetry
from forge_sdk.errors import PlatformError
from forge_sdk.messaging import CONTROL_BUCKET, JOBS_BUCKET, QUEUE_OF_TYPE, cancel_key, job_cancel_key
from forge_sdk.models.jobs import Job, JobEntry, JobEntryState, JobResult
from forge_sdk.nats_connection import leader_bucket
from forge_sdk.nats_requests import Requests

ENTRY_SUBJECT = f"$KV.{JOBS_BUCKET}."
LISTED_PER_READ = 100
"""So many names in a list cost about as much as one entry that is read."""
LARGEST_LIST = 50_000
"""Well below what the server names at once; entries that come meanwhile have to fit in, too."""
STREAM_STORE_FAILED = 10077
"""Error code of JetStream for a message over a limit of the stream; only the text says which limit."""


class Board:
    """The jobs and their entries. Every method raises `TransientError` where NATS does not answer."""

    def __init__(self, connection: Client, inbox: str, settings: DispatcherSettings) -> None:
        self._inbox = inbox
        self._settings = settings
        self._jetstream = connection.jetstream(timeout=settings.request_timeout_s)
        self._requests = Requests(connection, settings.request_timeout_s)
        self._entries = leader_bucket(self._jetstream, JOBS_BUCKET)
        self._control = leader_bucket(self._jetstream, CONTROL_BUCKET)

    async def publish(self, job: Job) -> bool:
        """Queues the job; false where it was queued before, so that its result may be there already."""
        queue = QUEUE_OF_TYPE[job.type]
        facts = {"run_id": str(job.run_id), "job_id": str(job.id)}
        with (
            translated(f"publishing {job.type} job {job.id}"),
            telemetry.span(f"publish {job.type}", kind="producer", parent=job.trace, attributes=facts),
        ):
            envelope = job.model_copy(update={"reply_to": self._inbox, "trace": telemetry.traceparent()})
            try:
                known = await self._requests.write(
                    queue.subject_of(job.id),
                    envelope.model_dump_json().encode(),
                    {"Nats-Msg-Id": str(job.id), "Nats-Expected-Stream": queue.stream},
                )
            except nats.js.errors.APIError as error:
                if error.err_code == STREAM_STORE_FAILED and "per subject" in (error.description or ""):
                    return False
                raise
        return not known.get("duplicate", False)

    async def entered(self, wanted: int) -> frozenset[str] | None:
        """The ids of all jobs that have an entry; none where reading `wanted` entries takes less than such a list."""
        stream = f"KV_{JOBS_BUCKET}"
        with translated("listing the entries of jobs"):
            if (await self._jetstream.stream_info(stream)).state.messages > min(wanted * LISTED_PER_READ, LARGEST_LIST):
                return None
            listed = await self._jetstream.stream_info(stream, subjects_filter=f"{ENTRY_SUBJECT}*")
        return frozenset(subject.removeprefix(ENTRY_SUBJECT) for subject in listed.state.subjects or {})

    async def entry(self, job_id: UUID) -> tuple[JobEntry | None, int]:
        """The job's entry and its revision; none and 0 before the first claim."""
        with translated(f"reading the entry of job {job_id}"):
            try:
                found = await self._entries.get(str(job_id))
            except nats.js.errors.KeyNotFoundError as error:
                # A deleted entry leaves a marker, over which the next one has to be written.
                return None, error.entry.revision or 0 if error.entry else 0
        try:
            return JobEntry.model_validate_json(found.value or b""), found.revision or 0
        except ValidationError as error:
            raise PlatformError(
                f"the entry of job {job_id} can't be read: {error.errors()[0]['msg']}", component=COMPONENT
            ) from error

    async def finish(self, result: JobResult, revision: int) -> bool:
        """Writes a result over the entry of that revision; false where somebody wrote in the meantime."""
        entry = JobEntry(
            state=JobEntryState.FINISHED, worker=result.worker, claimed_at=result.started_at, result=result
        )
        with translated(f"finishing job {result.job_id}"):
            written = await self._requests.compare_and_set(
                JOBS_BUCKET, str(result.job_id), entry.model_dump_json().encode(), revision
            )
        return written is not None

    async def purge(self, job: Job) -> None:
        """Removes the job's message from its stream, where it is."""
        queue = QUEUE_OF_TYPE[job.type]
        with translated(f"purging job {job.id}"):
            await self._jetstream.purge_stream(queue.stream, subject=queue.subject_of(job.id))

    async def cancel_run(self, run_id: UUID) -> None:
        """Tells all workers that the run is cancelled."""
        await self._settings.backoff.call(lambda: self._put(cancel_key(run_id)))

    async def cancel_job(self, job: Job) -> None:
        """Tells the worker of this job that it is cancelled."""
        await self._settings.backoff.call(lambda: self._put(job_cancel_key(job.run_id, job.id)))

    async def is_cancelled(self, run_id: UUID) -> bool:
        """Whether all workers were told that the run is cancelled."""
        key = cancel_key(run_id)
        with translated(f"reading {key}"):
            try:
                await self._control.get(key)
            except nats.js.errors.KeyNotFoundError:
                return False
        return True

    async def _put(self, key: str) -> None:
        with translated(f"writing {key}"):
            await self._control.put(key, b"cancelled")
