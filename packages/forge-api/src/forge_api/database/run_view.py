"""A run with everything below it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from forge_api.database import deployment_view, logs, release_view, runs
from forge_api.database.pool import Connection, Database
from forge_sdk.models.api import ArtifactProgress, Phase, Publication, ReleaseAttempt, Run, Step, Task

Row = Mapping[str, Any]
_WARNINGS = "select warnings from pipeline_runs where id = $1"
_PHASES = """
select id, phase_name as name, group_number as "group", status, started_at, completed_at
from phase_executions where run_id = $1 order by group_number, phase_name
"""
_TASKS = """
select t.id, t.phase_id, t.project_name as project, t.project_path, t.status, t.started_at, t.completed_at, t.error
from task_executions t join phase_executions h on h.id = t.phase_id
where h.run_id = $1 order by t.project_name
"""
_STEPS = """
select s.id, s.task_id, s.step_name as name, s.action, s.status, s.exit_code, s.started_at, s.completed_at, s.error,
    s.logs_key is not null as logs_available
from step_executions s
join task_executions t on t.id = s.task_id
join phase_executions h on h.id = t.phase_id
where h.run_id = $1 order by s.id
"""
_ATTEMPTS = """
select a.id as release_id, p.name as project, a.commit_sha, a.state, a.error
from release_attempts a join projects p on p.id = a.project_id
where a.run_id = $1 or a.id in (select w.attempt_id from release_attempt_runs w where w.run_id = $1) order by p.name
"""
_ARTIFACTS = """
select attempt_id, name, type, logs_key is not null as logs_available
from attempt_artifacts where attempt_id = any($1::uuid[]) order by name
"""
_PUBLICATIONS = """
select attempt_id, artifact, publisher, file, digest, state, uri, error
from publish_records where attempt_id = any($1::uuid[]) order by artifact, publisher, file
"""


# One statement for what most runs are: tasks and steps, and nothing released.
_WHOLE = """
select r.*, o.owner || '/' || o.name as repository,
    exists (select from release_attempts a where a.run_id = r.id)
        or exists (select from release_attempt_runs w where w.run_id = r.id)
        or exists (select from releases e where e.run_id = r.id)
        or exists (select from release_triggers g where g.run_id = r.id)
        or exists (select from deployments d where d.run_id = r.id) as has_more,
    (select array_agg(array[l.job_id::text, l.logs_key] order by l.created_at, l.logs_key)
        from job_logs l where l.run_id = r.id) as logs,
    (select jsonb_agg(jsonb_build_object(
            'id', h.id, 'name', h.phase_name, 'group', h.group_number, 'status', h.status, 'started_at', h.started_at,
            'completed_at', h.completed_at, 'tasks', coalesce((
                select jsonb_agg(jsonb_build_object(
                    'id', t.id, 'project', t.project_name, 'project_path', t.project_path, 'status', t.status,
                    'started_at', t.started_at, 'completed_at', t.completed_at, 'error', t.error, 'steps', coalesce((
                        select jsonb_agg(jsonb_build_object(
                            'id', s.id, 'name', s.step_name, 'action', s.action, 'status', s.status,
                            'exit_code', s.exit_code, 'started_at', s.started_at, 'completed_at', s.completed_at,
                            'error', s.error, 'logs_available', s.logs_key is not null) order by s.id)
                        from step_executions s where s.task_id = t.id), '[]')) order by t.project_name)
                from task_executions t where t.phase_id = h.id), '[]')) order by h.group_number, h.phase_name)
        from phase_executions h where h.run_id = r.id) as phases
from pipeline_runs r join repositories o on o.id = r.repository_id where r.id = $1
"""


async def read(database: Database, run_id: UUID) -> Run:
    """The run with everything below it; `not_found` where there is none."""
    row = await database.fetch_row(_WHOLE, run_id)
    if row is None:
        raise runs.unknown(run_id)
    if row["has_more"]:
        return await database.read(lambda connection: find(connection, run_id))
    found = [(UUID(job_id), key) for job_id, key in row["logs"] or ()]
    below = {"phases": row["phases"] or (), "logs": logs.models(run_id, found), "releases": ()}
    return Run.model_validate({**row, **below})


async def find(connection: Connection, run_id: UUID) -> Run:
    """The run with phases, tasks, steps, releases in the making, releases and deployments; `not_found` without it."""
    summary = await runs.summary(connection, run_id)
    return Run(
        **dict(summary),
        phases=await _phases(connection, run_id),
        attempts=await _attempts(connection, run_id),
        releases=await release_view.of_run(connection, run_id),
        deployments=await deployment_view.of_run(connection, run_id),
        logs=await logs.of_run(connection, run_id),
        warnings=tuple(await connection.fetchval(_WARNINGS, run_id)),
    )


async def _phases(connection: Connection, run_id: UUID) -> tuple[Phase, ...]:
    phases = await connection.fetch(_PHASES, run_id)
    tasks = _grouped(await connection.fetch(_TASKS, run_id), "phase_id")
    steps = _grouped(await connection.fetch(_STEPS, run_id), "task_id")
    return tuple(
        Phase.model_validate({**phase, "tasks": [_task(task, steps) for task in tasks[phase["id"]]]})
        for phase in phases
    )


def _task(task: Row, steps: Mapping[UUID, Sequence[Row]]) -> Task:
    return Task.model_validate({**task, "steps": [Step.model_validate(dict(step)) for step in steps[task["id"]]]})


async def _attempts(connection: Connection, run_id: UUID) -> tuple[ReleaseAttempt, ...]:
    attempts = await connection.fetch(_ATTEMPTS, run_id)
    ids = [row["release_id"] for row in attempts]
    artifacts = _grouped(await connection.fetch(_ARTIFACTS, ids), "attempt_id")
    publications = _grouped(await connection.fetch(_PUBLICATIONS, ids), "attempt_id")
    return tuple(
        ReleaseAttempt.model_validate(
            {**row, "artifacts": _progress(artifacts[row["release_id"]], publications[row["release_id"]])}
        )
        for row in attempts
    )


def _progress(artifacts: Sequence[Row], publications: Sequence[Row]) -> list[ArtifactProgress]:
    rows = _grouped(publications, "artifact")
    return [
        ArtifactProgress.model_validate(
            {**artifact, "publications": [Publication.model_validate(dict(row)) for row in rows[artifact["name"]]]}
        )
        for artifact in artifacts
    ]


def _grouped(rows: Sequence[Row], column: str) -> defaultdict[Any, list[Row]]:
    groups: defaultdict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups
