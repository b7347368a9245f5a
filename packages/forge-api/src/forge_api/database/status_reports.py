"""What workers report of tasks and steps while they run: many jobs at once, each under its fencing token."""

from typing import Any
from uuid import UUID

from forge_api.database import logs, tokens
from forge_api.database.merging import merged_steps, merged_tasks
from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import job_id as derived_job_id
from forge_sdk.models.api import JobStatuses, RefusedStatuses, StatusBatch

_TASKS_OF = """
select t.id, h.run_id, h.phase_name, t.project_name, null::uuid as step_id
from task_executions t join phase_executions h on h.id = t.phase_id where t.id = any($1::uuid[])
union all
select t.id, h.run_id, h.phase_name, t.project_name, s.id
from step_executions s join task_executions t on t.id = s.task_id join phase_executions h on h.id = t.phase_id
where s.id = any($2::uuid[])
"""
# A row that has ended stays as it is: the job's result, which came before, knows better than a late report.
_UPDATE_TASKS = """
update task_executions t set status = u.status, started_at = coalesce(t.started_at, u.started_at),
    completed_at = coalesce(u.completed_at, t.completed_at)
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[]) as u (id, status, started_at, completed_at)
where t.id = u.id and t.status in ('pending', 'running')
"""
_UPDATE_STEPS = """
update step_executions s set status = u.status, started_at = coalesce(s.started_at, u.started_at),
    completed_at = coalesce(u.completed_at, s.completed_at), exit_code = coalesce(u.exit_code, s.exit_code),
    logs_key = coalesce(u.logs_key, s.logs_key)
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::text[])
    as u (id, status, started_at, completed_at, exit_code, logs_key)
where s.id = u.id and s.status in ('pending', 'running')
"""
_Rows = dict[UUID, Any]


async def apply(connection: Connection, batch: StatusBatch) -> tuple[RefusedStatuses, ...]:
    """Write the statuses of every job but those that are refused, which are returned.

    Refused are a job that another worker has now (`stale_token`), one with a task or step that is not its own (`conflict`) or
    does not exist (`not_found`), and one with a log outside its run's folder (`conflict`).
    """
    rows = await _rows(connection, batch)
    own, refused = [], []
    for job in batch.jobs:
        try:
            _require_own(job, rows)
        except PlatformError as error:
            refused.append(_refused(job, error))
        else:
            own.append(job)
    newest = await tokens.newest(connection, {job.job_id: job.token for job in own})
    refused += [_refused(job, tokens.stale(job.job_id, job.token)) for job in own if job.job_id not in newest]
    accepted = [job for job in own if job.job_id in newest]
    if tasks := [update for job in accepted for update in job.tasks]:
        await connection.execute(_UPDATE_TASKS, *merged_tasks(tasks))
    if steps := [update for job in accepted for update in job.steps]:
        await connection.execute(_UPDATE_STEPS, *merged_steps(steps))
    return tuple(refused)


def _refused(job: JobStatuses, error: PlatformError) -> RefusedStatuses:
    return RefusedStatuses(job_id=job.job_id, code=error.code, message=error.message)


async def _rows(connection: Connection, batch: StatusBatch) -> _Rows:
    """The row of every task and step of the batch that exists, by its id."""
    tasks = {update.task_id for job in batch.jobs for update in job.tasks}
    steps = {update.step_id for job in batch.jobs for update in job.steps}
    found = await connection.fetch(_TASKS_OF, tasks, steps)
    return {row["step_id"] or row["id"]: row for row in found}


def _require_own(job: JobStatuses, rows: _Rows) -> None:
    for id in (*(update.task_id for update in job.tasks), *(update.step_id for update in job.steps)):
        row = rows.get(id)
        if row is None:
            raise PlatformError(f"there is no task or step {id}", code=ErrorCode.NOT_FOUND, component="api")
        if derived_job_id(row["run_id"], "ci", row["phase_name"], row["project_name"]) != job.job_id:
            raise PlatformError(
                f"task {row['id']} is not part of job {job.job_id}", code=ErrorCode.CONFLICT, component="api"
            )
    for update in job.steps:
        if update.logs_key is not None:
            logs.require_of_run(update.logs_key, rows[update.step_id]["run_id"])
