"""Execution of runs: plans, statuses of phases, tasks and steps, and the end of a run."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from pydantic import JsonValue

from forge_api.database.pool import Connection
from forge_api.database.runs import unknown
from forge_api.pipeline.facts import RunFacts, TaskRow, run_facts
from forge_api.pipeline.planner import PlannedPhase
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.payloads import StepOutcome
from forge_sdk.models.statuses import ExecutionStatus, RunStatus

_FACTS = """
select r.id, r.repository_id, o.owner || '/' || o.name as repository, o.clone_url, o.git_credentials, r.commit_sha,
    r.branch, r.tag, r.ref, r.trigger_type, r.triggered_by, r.status, r.cancel_requested, r.discovery_ref, r.trace,
    r.created_at
from pipeline_runs r join repositories o on o.id = r.repository_id where r.id = $1
"""
_ACTIVE = "select id from pipeline_runs where status in ('pending', 'running') order by id"
_CANCEL_REQUESTED = "select cancel_requested from pipeline_runs where id = $1"
_START = """
update pipeline_runs set status = 'running', started_at = coalesce(started_at, now()) where id = $1 and status = 'pending'
"""
_KEEP_DISCOVERY = """
update pipeline_runs set discovery_ref = $2, warnings = $3 where id = $1 and discovery_ref is null returning id
"""
_ADD_PHASE = "insert into phase_executions (id, run_id, phase_name, group_number) values ($1, $2, $3, $4)"
_ADD_TASK = "insert into task_executions (id, phase_id, project_name, project_path) values ($1, $2, $3, $4)"
_ADD_STEP = "insert into step_executions (id, task_id, step_name, action) values ($1, $2, $3, $4)"
_TASKS = """
select t.id, h.phase_name as phase, h.group_number as "group", t.project_name as project, t.project_path, t.status,
    coalesce(jsonb_object_agg(s.step_name, s.id) filter (where s.id is not null), '{}') as steps
from task_executions t
join phase_executions h on h.id = t.phase_id
left join step_executions s on s.task_id = t.id
where h.run_id = $1
group by t.id, h.id order by h.group_number, h.phase_name, t.project_name
"""
_GROUPS = "select distinct group_number from phase_executions where run_id = $1 order by group_number"
_START_GROUP = """
update phase_executions set status = 'running', started_at = coalesce(started_at, now())
where run_id = $1 and group_number = $2 and status = 'pending'
"""
_END_GROUP = """
update phase_executions h set completed_at = coalesce(h.completed_at, now()), status = case
    when exists (select from task_executions t where t.phase_id = h.id and t.status = 'failed') then 'failed'
    when exists (select from task_executions t where t.phase_id = h.id and t.status <> 'success') then 'cancelled'
    else 'success' end
where h.run_id = $1 and h.group_number = $2 and h.status in ('pending', 'running')
"""
_END_TASK = """
update task_executions set status = $2, started_at = coalesce(started_at, $3), completed_at = $4 where id = $1
"""
_END_STEP = """
update step_executions set status = $3, exit_code = coalesce($4, exit_code), logs_key = coalesce($5, logs_key),
    error = $6, started_at = coalesce($7, started_at), completed_at = coalesce($8, completed_at)
where id = $1 and task_id = $2
"""
_END_OTHER_STEPS = """
update step_executions set completed_at = coalesce(completed_at, now()), status = case
    when status = 'pending' then 'skipped' else $2 end
where task_id = $1 and status in ('pending', 'running')
"""
_SKIP_STEPS = """
update step_executions s set completed_at = now(), status = case when s.status = 'pending' then 'skipped' else 'cancelled' end
from task_executions t join phase_executions h on h.id = t.phase_id
where s.task_id = t.id and h.run_id = $1 and s.status in ('pending', 'running')
"""
_SKIP_TASKS = """
update task_executions t set completed_at = now(), status = case when t.status = 'pending' then 'skipped' else 'cancelled' end
from phase_executions h where t.phase_id = h.id and h.run_id = $1 and t.status in ('pending', 'running')
"""
_SKIP_PHASES = """
update phase_executions set completed_at = now(), status = case when status = 'pending' then 'skipped' else 'cancelled' end
where run_id = $1 and status in ('pending', 'running')
"""
_FINISH = """
update pipeline_runs set status = $2, error = $3, warnings = warnings || $4, completed_at = now()
where id = $1 and status in ('pending', 'running') returning id
"""


async def facts(connection: Connection, run_id: UUID) -> RunFacts:
    """What the pipeline needs to know of a run; `not_found` where there is none."""
    row = await connection.fetchrow(_FACTS, run_id)
    if row is None:
        raise unknown(run_id)
    return run_facts(row)


async def active(connection: Connection) -> list[UUID]:
    """Runs that have not ended, oldest first."""
    return [row["id"] for row in await connection.fetch(_ACTIVE)]


async def cancel_requested(connection: Connection, run_id: UUID) -> bool:
    """Whether somebody asked that the run ends."""
    return bool(await connection.fetchval(_CANCEL_REQUESTED, run_id))


async def start(connection: Connection, run_id: UUID) -> None:
    """The run is being carried out."""
    await connection.execute(_START, run_id)


async def keep_plan(
    connection: Connection, run_id: UUID, discovery_ref: str, phases: Sequence[PlannedPhase], warnings: Sequence[str]
) -> bool:
    """Record where the discovery document is and the rows that follow from it; false where that was done before."""
    if await connection.fetchval(_KEEP_DISCOVERY, run_id, discovery_ref, list(warnings)) is None:
        return False
    tasks = [(phase, task) for phase in phases for task in phase.tasks]
    steps = [(task, step) for _, task in tasks for step in task.steps]
    await connection.executemany(_ADD_PHASE, [(phase.id, run_id, phase.name, phase.group) for phase in phases])
    await connection.executemany(
        _ADD_TASK, [(task.id, phase.id, task.project, task.project_path) for phase, task in tasks]
    )
    await connection.executemany(_ADD_STEP, [(step.id, task.id, step.name, step.action) for task, step in steps])
    return True


async def groups(connection: Connection, run_id: UUID) -> list[int]:
    """The numbers of the run's phase groups, ascending."""
    return [row["group_number"] for row in await connection.fetch(_GROUPS, run_id)]


async def tasks(connection: Connection, run_id: UUID) -> list[TaskRow]:
    """All tasks of a run, by group, phase and project."""
    return [_task(row) for row in await connection.fetch(_TASKS, run_id)]


async def start_group(connection: Connection, run_id: UUID, group: int) -> None:
    """The phases of a group are running."""
    await connection.execute(_START_GROUP, run_id, group)


async def end_group(connection: Connection, run_id: UUID, group: int) -> None:
    """The phases of a group get their statuses from their tasks."""
    await connection.execute(_END_GROUP, run_id, group)


async def end_task(
    connection: Connection, task_id: UUID, status: ExecutionStatus, times: tuple[Any, Any], steps: Iterable[StepOutcome]
) -> None:
    """Record what became of a task and its steps; steps without an outcome were skipped, or ended with the task."""
    await connection.execute(_END_TASK, task_id, status.value, *times)
    await connection.executemany(_END_STEP, [_step_values(task_id, step) for step in steps])
    await connection.execute(_END_OTHER_STEPS, task_id, status.value)


async def finish(
    connection: Connection, run_id: UUID, status: RunStatus, error: ErrorDetail | None, warnings: Sequence[str]
) -> bool:
    """End the run: what never started is skipped, what was running is cancelled. False where it had ended."""
    detail: JsonValue = error.model_dump(mode="json") if error is not None else None
    if await connection.fetchval(_FINISH, run_id, status.value, detail, list(warnings)) is None:
        return False
    for statement in (_SKIP_STEPS, _SKIP_TASKS, _SKIP_PHASES):
        await connection.execute(statement, run_id)
    return True


def _task(row: Any) -> TaskRow:
    steps = {name: UUID(id) for name, id in row["steps"].items()}
    return TaskRow(
        id=row["id"],
        phase=row["phase"],
        group=row["group"],
        project=row["project"],
        project_path=row["project_path"],
        status=ExecutionStatus(row["status"]),
        steps=steps,
    )


def _step_values(task_id: UUID, step: StepOutcome) -> tuple[Any, ...]:
    error: JsonValue = step.error.model_dump(mode="json") if step.error is not None else None
    return (
        step.step_id,
        task_id,
        step.status.value,
        step.exit_code,
        step.logs_key,
        error,
        step.started_at,
        step.finished_at,
    )
