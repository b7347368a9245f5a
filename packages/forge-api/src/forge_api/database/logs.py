"""Where logs are."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import job_id
from forge_sdk.models.api import JobLog
from forge_sdk.models.jobs import Job
from forge_sdk.storage_keys import LOGS_PREFIX, log_key

_STEP = """
select h.run_id, h.phase_name, t.project_name, s.step_name, s.logs_key,
    s.status not in ('pending', 'running') as ended
from step_executions s join task_executions t on t.id = s.task_id join phase_executions h on h.id = t.phase_id
where s.id = $1
"""
_ARTIFACT = """
select a.run_id, p.name as project, f.name, f.logs_key, a.state in ('failed', 'recorded') as ended
from attempt_artifacts f join release_attempts a on a.id = f.attempt_id join projects p on p.id = a.project_id
where f.id = $1 and a.run_id is not null
"""
_JOB = """
select l.run_id, l.logs_key, coalesce(r.status not in ('pending', 'running'), true) as ended
from job_logs l left join pipeline_runs r on r.id = l.run_id where l.job_id = $1
"""
_STORE = """
insert into job_logs (job_id, run_id, logs_key) values ($1, (select id from pipeline_runs where id = $2), $3)
on conflict (job_id) do update set logs_key = excluded.logs_key
"""
_OF_RUN = "select job_id, logs_key from job_logs where run_id = $1 order by created_at, logs_key"
_PLACES = 3
"""Parts of a key below the run: phase, project, step."""


@dataclass(frozen=True, slots=True)
class StoredLog:
    """The key of a log, the ids under which it is sent live, and whether nothing is written to it any more.

    `may_restart` where that is known of what writes it, which another worker may begin anew, not just of its run.
    """

    key: str
    run_id: UUID
    log_id: UUID
    ended: bool
    may_restart: bool = True


async def find(connection: Connection, log_id: UUID) -> StoredLog:
    """The log of a step, of an artifact in the making, or of a job that has one log; `not_found` without it."""
    row = await connection.fetchrow(_STEP, log_id)
    if row is not None:
        key = row["logs_key"] or log_key(row["run_id"], row["phase_name"], row["project_name"], row["step_name"])
        return StoredLog(key, row["run_id"], log_id, row["ended"])
    row = await connection.fetchrow(_ARTIFACT, log_id)
    if row is not None:
        key = row["logs_key"] or log_key(row["run_id"], "artifact", row["project"], row["name"])
        job = job_id(row["run_id"], "artifact", row["project"], row["name"])
        return StoredLog(key, row["run_id"], job, row["ended"])
    row = await connection.fetchrow(_JOB, log_id)
    if row is not None:
        run_id = row["run_id"] or UUID(row["logs_key"].split("/")[1])
        return StoredLog(row["logs_key"], run_id, log_id, row["ended"], may_restart=False)
    raise PlatformError(
        f"there is no log of {log_id}: no step or job has this id, or it has not started",
        code=ErrorCode.NOT_FOUND,
        component="api",
    )


async def of_run(connection: Connection, run_id: UUID) -> tuple[JobLog, ...]:
    """The logs of the run's jobs that have no steps, in the order of their start."""
    rows = await connection.fetch(_OF_RUN, run_id)
    found = places(run_id, [(str(row["job_id"]), row["logs_key"]) for row in rows])
    return tuple(JobLog.model_validate(place) for place in found)


def places(run_id: UUID, found: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """The fields of `JobLog` for the jobs and keys that are given; a key holds phase, project and step."""
    made = []
    for id, key in found:
        parts = key.removeprefix(f"{LOGS_PREFIX}/{run_id}/").removesuffix(".log").split("/")
        if len(parts) == _PLACES:
            phase, project, step = parts
            made.append({"id": id, "phase": phase, "project": project, "step": step})
    return made


def require_of_run(logs_key: str, run_id: UUID | None) -> None:
    """Raise `conflict` unless the log is in the run's folder: who reads a log gets a signed URL of its key."""
    if not logs_key.startswith(f"{LOGS_PREFIX}/{run_id}/") or ".." in logs_key.split("/"):
        raise PlatformError(
            f"log {logs_key} is not in the folder of run {run_id}", code=ErrorCode.CONFLICT, component="api"
        )


async def expect_job_log(connection: Connection, job: Job, project: str, step: str) -> None:
    """Keep where a job without steps writes its log."""
    await store_job_log(connection, job.id, job.run_id, log_key(job.run_id, job.type.value, project, step))


async def store_job_log(connection: Connection, job_id: UUID, run_id: UUID | None, logs_key: str) -> None:
    """Keep where the log of a job without steps is."""
    await connection.execute(_STORE, job_id, run_id, logs_key)
