"""A run with everything below it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from forge_api.database import deployment_view, logs, release_view, runs
from forge_api.database.pool import Connection, Database
from forge_sdk.models.api import ArtifactProgress, Phase, Publication, ReleaseAttempt, Run, Step, Task
from forge_sdk.models.base import SCHEMA_VERSION

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


# One statement for what most runs are: tasks and steps, and nothing released. Its columns are the fields of the answer.
# Before the discovery there is nothing below a run.
_DOCUMENT = """
select r.id, r.commit_sha, r.branch, r.tag, r.attempt, r.status, r.trigger_type, r.triggered_by, r.created_at,
    r.started_at, r.completed_at, r.based_on, r.waiting_for, r.superseded_by, r.error, r.warnings,
    o.owner || '/' || o.name as repository,
    case when r.discovery_ref is not null then run_phases(r.id)::text end as phases,
    r.discovery_ref is not null and run_has_more(r.id) as has_more,
    array(select array[l.job_id::text, l.logs_key] from job_logs l where l.run_id = r.id
          order by l.created_at, l.logs_key) as logs
from pipeline_runs r join repositories o on o.id = r.repository_id where r.id = $1
"""
_NOTHING_RELEASED: Mapping[str, Any] = {
    "schemaVersion": SCHEMA_VERSION,
    "attempts": (),
    "releases": (),
    "deployments": (),
}


async def document(database: Database, run_id: UUID) -> bytes:
    """The run with everything below it as JSON, of the form of `Run`; `not_found` where there is none."""
    row = await database.fetch_row(_DOCUMENT, run_id)
    if row is None:
        raise runs.unknown(run_id)
    if row["has_more"]:
        run = await database.read(lambda connection: find(connection, run_id))
        return run.model_dump_json(by_alias=True).encode()
    content = {**_NOTHING_RELEASED, **row}
    del content["has_more"]
    # The database wrote it as it is answered: reading it here would cost more than the rest.
    content["phases"] = orjson.Fragment(row["phases"] or "[]")
    content["logs"] = logs.places(run_id, row["logs"])
    # The driver has a class of its own for UUIDs.
    return orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z)


async def read(database: Database, run_id: UUID) -> Run:
    """The run with everything below it; `not_found` where there is none."""
    return Run.model_validate_json(await document(database, run_id))


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
