"""Runs: creation, lists, one run, cancelling."""

from http import HTTPStatus
from uuid import UUID

from forge_api.database import audit, executions, run_view, runs
from forge_api.database.runs import RunFilter
from forge_api.engine.port import RunPlan
from forge_api.web.call import Answer, Call
from forge_api.web.pages import PageQuery, id_position, split
from forge_sdk.models.api import CommitSha, CreateRun, GitName, Page, RepositoryName, RetryRun, RunSummary
from forge_sdk.models.base import ClosedModel
from forge_sdk.models.statuses import RunStatus


class RunPath(ClosedModel):
    """Variables of a run's path."""

    run_id: UUID


class RunQuery(PageQuery):
    """Which runs a list holds."""

    repository: RepositoryName | None = None
    branch: GitName | None = None
    commit_sha: CommitSha | None = None
    status: RunStatus | None = None


async def create(call: Call) -> Answer:
    """Create a run of a commit, or get the newest attempt of it."""
    body = call.body_as(CreateRun)
    budget = call.services.limits.runs(body.repository)
    async with call.services.database.connection() as connection:
        run, created = await runs.get_or_create(connection, body, call.origin, budget)
    return await _started(call, run, created=created)


async def retry(call: Call) -> Answer:
    """A new attempt of a run that has ended, with the same Git context; the one that is active where there is one."""
    run_id, body = call.path_as(RunPath).run_id, call.body_as(RetryRun)
    async with call.services.database.transaction() as connection:
        run, created = await runs.retry(connection, run_id, call.origin, failed=body.failed)
        if created:
            await call.services.limits.run_created(connection, run.repository)
            await runs.tell_created(connection, call.origin, run)
    return await _started(call, run, created=created)


async def page(call: Call) -> Answer:
    """Runs, newest first."""
    query = call.query_as(RunQuery)
    wanted = RunFilter(query.repository, query.branch, query.commit_sha, query.status)
    before = id_position(query)
    async with call.services.database.connection() as connection:
        found = await runs.page(connection, wanted, before=before, limit=query.limit + 1)
    items, cursor = split(found, query.limit, lambda run: run.id)
    return Answer(Page[RunSummary](items=items, next_cursor=cursor))


async def find(call: Call) -> Answer:
    """A run with phases, tasks, steps, releases and deployments."""
    run_id = call.path_as(RunPath).run_id
    return Answer(raw=await run_view.document(call.services.database, run_id))


async def cancel(call: Call) -> Answer:
    """Ask that a run ends; a run that has ended stays as it is."""
    run_id = call.path_as(RunPath).run_id
    async with call.services.database.transaction() as connection:
        run = await runs.summary(connection, run_id)
        if await runs.request_cancel(connection, run_id):
            before = {"status": run.status.value}
            await audit.record(connection, call.origin, executions.CANCEL_REQUESTED, f"run/{run_id}", before=before)
    if not run.status.finished:
        await call.services.engine.cancel(run_id)
    async with call.services.database.connection() as connection:
        return Answer(await runs.summary(connection, run_id))


async def _started(call: Call, run: RunSummary, *, created: bool) -> Answer:
    if created:
        await call.services.engine.submit(RunPlan(run.id))
    return Answer(run, HTTPStatus.CREATED if created else HTTPStatus.OK)
