"""Names on NATS that dispatchers, workers and the API share. Definitions only: nothing here talks to a server."""

from dataclasses import dataclass

from forge_sdk.models.jobs import JobType

JOBS_BUCKET = "forge-jobs"
"""KV bucket of claims and results, key: job id."""
CONTROL_BUCKET = "forge-control"
"""KV bucket of cancel keys: `cancel.<run id>` for a run, `cancel.<run id>.<job id>` for one of its jobs."""
EVENTS_STREAM = "forge-events"
EVENTS_SUBJECT = "forge.events"
MAX_AGE_S = 25 * 3600
"""Seconds that jobs, claims and results are kept: above the deadline of a run, since a stream drops old messages even while a worker holds them."""
EVENTS_MAX_AGE_S = 7 * 24 * 3600
MAX_INLINE_RESULT = 1_000_000
"""Bytes; larger results go to object storage."""
MAX_LOSSES = 3
"""A job that lost its worker this often fails with `worker_lost`."""
MAX_DELIVER = 20
LOG_OFFSET_HEADER = "Forge-Offset"
"""Header of live log messages: the byte at which the message's data starts."""
LOG_TOKEN_HEADER = "Forge-Token"  # noqa: S105 - a fencing token, not a secret
"""Fencing token of the job that writes the log: with a higher one it begins anew."""
LOG_END_HEADER = "Forge-End"
"""Header of the last, empty message of a live log."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The stream, consumer and pool that serve one or more types of jobs."""

    pool: str
    stream: str
    subject: str
    consumer: str
    max_messages: int = 1000

    def subject_of(self, job_id: object) -> str:
        """The subject of one job."""
        return f"{self.subject}.{job_id}"


DISCOVERY = Queue("discovery", "pipeline-discovery", "pipeline.discovery", "discovery-consumer")
CI = Queue("ci", "pipeline-tasks", "pipeline.tasks", "ci-consumer", max_messages=5000)
ARTIFACT = Queue("artifact", "pipeline-artifacts", "pipeline.artifacts", "artifact-consumer")
RELEASE = Queue("release", "pipeline-releases", "pipeline.releases", "release-consumer")

QUEUES = (DISCOVERY, CI, ARTIFACT, RELEASE)
QUEUE_OF_POOL = {queue.pool: queue for queue in QUEUES}
QUEUE_OF_TYPE = {
    JobType.DISCOVERY: DISCOVERY,
    JobType.CI: CI,
    JobType.ARTIFACT: ARTIFACT,
    JobType.RELEASE: RELEASE,
    JobType.DEPLOYMENT: RELEASE,
}


def cancel_key(run_id: object) -> str:
    """Key in the control bucket that cancels a run."""
    return f"cancel.{run_id}"


def job_cancel_key(run_id: object, job_id: object) -> str:
    """Key in the control bucket that cancels one job of a run, so that its siblings and the run go on."""
    return f"cancel.{run_id}.{job_id}"


def log_subject(run_id: object, step_id: object) -> str:
    """Core subject on which a step's log is sent live."""
    return f"forge.logs.{run_id}.{step_id}"
