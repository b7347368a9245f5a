"""Execution of runs: plans, statuses of phases, tasks and steps, and the end of a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import JsonValue

from forge_api.database.pool import Connection
from forge_api.database.runs import unknown
from forge_api.pipeline.facts import RunFacts, TaskRow, run_facts
from forge_api.pipeline.planner import Plan, PlannedPhase
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.payloads import StepOutcome
from forge_sdk.models.statuses import ExecutionStatus, RunStatus

CANCEL_REQUESTED = "run.cancel_requested"
"""Action of the audit event of a request to cancel."""
_FACTS = """
select r.id, r.repository_id, o.owner || '/' || o.name as repository, o.clone_url, o.git_credentials, r.commit_sha,
    r.branch, r.tag, r.ref, r.trigger_type, r.triggered_by, r.status, r.cancel_requested, r.discovery_ref, r.trace,
    r.created_at, r.based_on, r.release_request, r.request_id
from pipeline_runs r join repositories o on o.id = r.repository_id where r.id = $1
"""
_ACTIVE = "select id from pipeline_runs where status in ('pending', 'running') order by id"
_CANCEL_REQUESTED = "select cancel_requested from pipeline_runs where id = $1"
_START = """
update pipeline_runs set status = 'running', started_at = coalesce(started_at, now()) where id = $1 and status = 'pending'
"""
_KEEP_DISCOVERY = """
update pipeline_runs set discovery_ref = $2, warnings = $3, concurrency = $4, releases = $5
where id = $1 and discovery_ref is null returning based_on
"""
_REUSE_TASKS = """
update task_executions t set status = 'success', started_at = o.started_at, completed_at = o.completed_at
from phase_executions h, task_executions o, phase_executions oh
where h.run_id = $1 and t.phase_id = h.id and oh.run_id = $2 and o.phase_id = oh.id and o.status = 'success'
    and oh.phase_name = h.phase_name and o.project_name = t.project_name
"""
_REUSE_STEPS = """
update step_executions s set status = o.status, started_at = o.started_at, completed_at = o.completed_at,
    exit_code = o.exit_code, logs_key = o.logs_key
from task_executions t, phase_executions h, step_executions o, task_executions ot, phase_executions oh
where h.run_id = $1 and t.phase_id = h.id and s.task_id = t.id and t.status = 'success'
    and oh.run_id = $2 and ot.phase_id = oh.id and o.task_id = ot.id
    and oh.phase_name = h.phase_name and ot.project_name = t.project_name and o.step_name = s.step_name
"""
# The newer run says that it cancels; the older one must be known to release nothing.
_SUPERSEDE = """
update pipeline_runs old set cancel_requested = true, superseded_by = new.id
from pipeline_runs new
where new.repository_id = $1 and new.branch = $2 and new.concurrency = 'cancel' and not new.cancel_requested
    and new.status not in ('cancelled', 'errored')
    and old.release_request is null and new.release_request is null
    and old.repository_id = $1 and old.branch = $2 and old.status in ('pending', 'running') and old.releases = false
    and not old.cancel_requested and old.id < new.id and old.commit_sha <> new.commit_sha
    and new.id = (select n.id from pipeline_runs n
                  where n.repository_id = $1 and n.branch = $2 and n.concurrency = 'cancel' and not n.cancel_requested
                  order by n.id desc limit 1)
returning old.id
"""
_AHEAD = """
select id from pipeline_runs
where repository_id = $1 and branch = $2 and id < $3 and status in ('pending', 'running') and release_request is null
order by id limit 1
"""
_WAIT_FOR = "update pipeline_runs set waiting_for = $2 where id = $1 and waiting_for is distinct from $2"
_IS_ACTIVE = "select true from pipeline_runs where id = $1 and status in ('pending', 'running')"
_SUPERSEDED_BY = """
select new.id, new.commit_sha, new.branch from pipeline_runs old join pipeline_runs new on new.id = old.superseded_by
where old.id = $1
"""
_WARN = """
update pipeline_runs set warnings = warnings || (
    select coalesce(jsonb_agg(new), '[]') from jsonb_array_elements($2::jsonb) as new
    where not warnings @> jsonb_build_array(new)
) where id = $1
"""
_CANCELLED_BY = "select actor from audit_events where subject = $1 and action = $2 order by sequence desc limit 1"
_ADD_PHASE = "insert into phase_executions (id, run_id, phase_name, group_number) values ($1, $2, $3, $4)"
_ADD_TASK = "insert into task_executions (id, phase_id, project_name, project_path) values ($1, $2, $3, $4)"
_ADD_STEP = "insert into step_executions (id, task_id, step_name, action) values ($1, $2, $3, $4)"
_TASKS = """
select t.id, h.phase_name as phase, h.group_number as "group", t.project_name as project, t.project_path, t.status, t.error,
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
returning h.status, extract(epoch from h.completed_at - coalesce(h.started_at, h.completed_at))::float8 as seconds
"""
_END_TASK = """
update task_executions set status = $2, started_at = coalesce(started_at, $3), completed_at = $4, error = $5 where id = $1
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
update pipeline_runs set status = $2, error = $3, warnings = warnings || $4, completed_at = now(), waiting_for = null
where id = $1 and status in ('pending', 'running') returning extract(epoch from completed_at - created_at)::float8
"""


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """How a task ended; `times` are its start and its end."""

    status: ExecutionStatus
    times: tuple[datetime, datetime]
    steps: Iterable[StepOutcome]
    error: ErrorDetail | None = None


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


async def keep_plan(connection: Connection, run_id: UUID, plan: Plan) -> bool:
    """Record a plan and the rows that follow from it; false where that was done before.

    Tasks that succeeded in the run that this one is based on are successful here, too.
    """
    values = (plan.discovery_ref, list(plan.warnings), plan.concurrency, plan.releases)
    row = await connection.fetchrow(_KEEP_DISCOVERY, run_id, *values)
    if row is None:
        return False
    await _add_rows(connection, run_id, plan.phases)
    if row["based_on"] is not None:
        await connection.execute(_REUSE_TASKS, run_id, row["based_on"])
        await connection.execute(_REUSE_STEPS, run_id, row["based_on"])
    return True


async def _add_rows(connection: Connection, run_id: UUID, phases: Sequence[PlannedPhase]) -> None:
    tasks = [(phase, task) for phase in phases for task in phase.tasks]
    steps = [(task, step) for _, task in tasks for step in task.steps]
    await connection.executemany(_ADD_PHASE, [(phase.id, run_id, phase.name, phase.group) for phase in phases])
    await connection.executemany(
        _ADD_TASK, [(task.id, phase.id, task.project, task.project_path) for phase, task in tasks]
    )
    await connection.executemany(_ADD_STEP, [(step.id, task.id, step.name, step.action) for task, step in steps])


async def groups(connection: Connection, run_id: UUID) -> list[int]:
    """The numbers of the run's phase groups, ascending."""
    return [row["group_number"] for row in await connection.fetch(_GROUPS, run_id)]


async def tasks(connection: Connection, run_id: UUID) -> list[TaskRow]:
    """All tasks of a run, by group, phase and project."""
    return [_task(row) for row in await connection.fetch(_TASKS, run_id)]


async def supersede(connection: Connection, repository_id: UUID, branch: str) -> list[UUID]:
    """Ask the end of the branch's runs that a newer one replaces; those that were asked now."""
    return [row["id"] for row in await connection.fetch(_SUPERSEDE, repository_id, branch)]


async def ahead(connection: Connection, run: RunFacts) -> UUID | None:
    """The oldest run of the same branch that is older than this one and has not ended."""
    found: UUID | None = await connection.fetchval(_AHEAD, run.repository_id, run.source.git.branch, run.id)
    return found


async def is_active(connection: Connection, run_id: UUID) -> bool:
    """Whether the run exists and has not ended."""
    return bool(await connection.fetchval(_IS_ACTIVE, run_id))


async def wait_for(connection: Connection, run_id: UUID, other: UUID | None) -> None:
    """Note which run has to end before this one goes on."""
    await connection.execute(_WAIT_FOR, run_id, other)


async def cancellation(connection: Connection, run_id: UUID) -> str:
    """Why a run was cancelled, as a sentence."""
    row = await connection.fetchrow(_SUPERSEDED_BY, run_id)
    if row is None:
        actor = await connection.fetchval(_CANCELLED_BY, f"run/{run_id}", CANCEL_REQUESTED)
        return f"the run was cancelled by {actor}" if actor is not None else "the run was cancelled"
    return (
        f"run {row['id']} of the newer commit {row['commit_sha'][:12]} on branch {row['branch']} has replaced this run"
    )


async def start_group(connection: Connection, run_id: UUID, group: int) -> None:
    """The phases of a group are running."""
    await connection.execute(_START_GROUP, run_id, group)


async def end_group(connection: Connection, run_id: UUID, group: int) -> list[tuple[str, float]]:
    """The phases of a group get their statuses from their tasks; status and seconds of those that end now."""
    return [(row["status"], row["seconds"]) for row in await connection.fetch(_END_GROUP, run_id, group)]


async def end_task(connection: Connection, task_id: UUID, end: TaskEnd) -> None:
    """Record what became of a task and its steps; steps without an outcome were skipped, or ended with the task."""
    error: JsonValue = end.error.model_dump(mode="json") if end.error is not None else None
    await connection.execute(_END_TASK, task_id, end.status.value, *end.times, error)
    await connection.executemany(_END_STEP, [_step_values(task_id, step) for step in end.steps])
    await connection.execute(_END_OTHER_STEPS, task_id, end.status.value)


async def finish(
    connection: Connection, run_id: UUID, status: RunStatus, error: ErrorDetail | None, warnings: Sequence[str]
) -> float | None:
    """End the run: what never started is skipped, what was running is cancelled.

    Seconds since the run was created; nothing where it had ended already.
    """
    detail: JsonValue = error.model_dump(mode="json") if error is not None else None
    seconds: float | None = await connection.fetchval(_FINISH, run_id, status.value, detail, list(warnings))
    if seconds is None:
        return None
    for statement in (_SKIP_STEPS, _SKIP_TASKS, _SKIP_PHASES):
        await connection.execute(statement, run_id)
    return seconds


async def warn(connection: Connection, run_id: UUID, warnings: Sequence[str]) -> None:
    """Add warnings to a run, also to one that has ended; what it has already is not added again."""
    await connection.execute(_WARN, run_id, list(warnings))


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
        error=ErrorDetail.model_validate(row["error"]) if row["error"] else None,
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
