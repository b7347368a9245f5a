"""What people ask of releases: to make one, to complete one, to give one up."""

import re
from http import HTTPStatus
from uuid import UUID

from pydantic import JsonValue

from forge_api.database import (
    attempts,
    audit,
    projects,
    release_runs,
    release_view,
    releases,
    repositories,
    runs,
)
from forge_api.database.attempts import AttemptKey
from forge_api.database.pool import Connection
from forge_api.engine.port import RunPlan
from forge_api.pipeline.requests import ReleaseRequest
from forge_api.web.call import Answer, Call
from forge_api.web.handlers.releases import ReleasePath
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import canonical_release
from forge_sdk.models.api import CreateRelease, Release, RequestedRelease, RetryRelease, RunSummary
from forge_sdk.models.discovery import MatchedTrigger
from forge_sdk.models.statuses import AliasType, ReleaseStatus, ReleaseTriggerType

_SHA_PREFIX = re.compile(r"[0-9a-f]{7,40}")


async def create(call: Call) -> Answer:
    """Release a project at a commit: a release that is there is returned, else a run makes it."""
    body = call.body_as(CreateRelease)
    request = ReleaseRequest(project=body.project, branch=body.branch, tag=body.tag, aliases=body.aliases)
    async with call.services.database.transaction() as connection:
        repository_id = (await repositories.find(connection, body.repository))["id"]
        found = await release_view.of_commit(connection, body.repository, body.project, body.commit_sha)
        if found is not None:
            project_id = await projects.id_of(connection, repository_id, body.project)
            await _name(connection, call, found, project_id, body)
            return Answer(_existing(await release_view.by_id(connection, found.id)))
        await _require_free(connection, await projects.find_id(connection, repository_id, body.project), body.aliases)
        run, created = await release_runs.get_or_create(
            connection, repository_id, body.commit_sha, request, call.origin
        )
        if created:
            await call.services.limits.run_created(connection, run.repository)
            await runs.tell_created(connection, call.origin, run, stage="release")
    await call.services.engine.submit(RunPlan(run.id))
    return _accepted(run, body.project)


async def retry(call: Call) -> Answer:
    """Go on with a partial release, or with one that could not be made: what is done already is not done again."""
    path, body = call.path_as(ReleasePath), call.body_as(RetryRelease)
    async with call.services.database.transaction() as connection:
        release = await _find(connection, path)
        if release is not None and release.status is ReleaseStatus.COMPLETE:
            return Answer(_existing(release))
        if release is not None:
            run, created = await _complete(connection, call, release, rebuild=body.rebuild)
        else:
            run, created = await _go_on(connection, call, path, rebuild=body.rebuild)
        if created:
            await call.services.limits.run_created(connection, run.repository)
            await runs.tell_created(connection, call.origin, run, stage="release")
    await call.services.engine.submit(RunPlan(run.id))
    return _accepted(run, path.project)


async def give_up(call: Call) -> Answer:
    """Give up what publishers have not done for a partial release."""
    path = call.path_as(ReleasePath)
    async with call.services.database.transaction() as connection:
        release = await release_view.find(connection, path.repository, path.project, path.release)
        if count := await attempts.give_up(connection, release.id):
            after: dict[str, JsonValue] = {"release": release.canonical_id, "given_up": count}
            await audit.record(connection, call.origin, "release.given_up", f"release/{release.id}", after=after)
        return Answer(await release_view.with_ledger(connection, release))


async def _find(connection: Connection, path: ReleasePath) -> Release | None:
    try:
        return await release_view.find(connection, path.repository, path.project, path.release)
    except PlatformError as error:
        if error.code is not ErrorCode.NOT_FOUND or not _SHA_PREFIX.fullmatch(path.release):
            raise
        return None


async def _complete(connection: Connection, call: Call, release: Release, *, rebuild: bool) -> tuple[RunSummary, bool]:
    if not rebuild and not await attempts.unfinished(connection, release.id):
        raise PlatformError(
            f"what release {release.release_number} of {release.project} lacks was given up: ask for a rebuild to "
            "publish everything anew",
            code=ErrorCode.CONFLICT,
            component="releases",
        )
    request = ReleaseRequest(project=release.project, retry=True, rebuild=rebuild)
    repository = await repositories.find(connection, release.repository)
    return await release_runs.get_or_create(connection, repository["id"], release.commit_sha, request, call.origin)


async def _go_on(connection: Connection, call: Call, path: ReleasePath, *, rebuild: bool) -> tuple[RunSummary, bool]:
    key = _only(await attempts.of_commit(connection, path.repository, path.project, path.release), path)
    if rebuild:
        await attempts.set_aside(connection, key)
    return await runs.retry(connection, key.run_id, call.origin, failed=True)


def _only(keys: list[AttemptKey], path: ReleasePath) -> AttemptKey:
    if not keys:
        raise PlatformError(
            f"project {path.project} of {path.repository} has neither a release nor a try to make one at {path.release}",
            code=ErrorCode.NOT_FOUND,
            component="releases",
        )
    if len(keys) > 1:
        raise PlatformError(
            f"{path.release} is the beginning of several commits: {', '.join(key.commit_sha for key in keys)}",
            code=ErrorCode.CONFLICT,
            component="releases",
        )
    return keys[0]


async def _name(connection: Connection, call: Call, release: Release, project_id: UUID, body: CreateRelease) -> None:
    await _require_free(connection, project_id, body.aliases, but=release)
    for alias in body.aliases:
        await releases.add_alias(connection, release.id, project_id, alias, AliasType.CUSTOM)
    trigger = MatchedTrigger(trigger_type=ReleaseTriggerType.MANUAL, branch=body.branch, tag=body.tag)
    if await releases.add_trigger(connection, release.id, trigger, call.origin.actor):
        after: dict[str, JsonValue] = {"release": release.canonical_id, "aliases": [*body.aliases]}
        await audit.record(connection, call.origin, "release.requested", f"release/{release.id}", after=after)


async def _require_free(
    connection: Connection, project_id: UUID | None, aliases: tuple[str, ...], but: Release | None = None
) -> None:
    for alias in aliases:
        owner = await releases.alias_owner(connection, project_id, alias)
        if owner is not None and (but is None or owner != but.id):
            raise PlatformError(
                f"another release of the project is called {alias}: choose another alias",
                code=ErrorCode.CONFLICT,
                component="releases",
            )


def _existing(release: Release) -> RequestedRelease:
    return RequestedRelease.model_validate(release.model_dump(by_alias=True))


def _accepted(run: RunSummary, project: str) -> Answer:
    canonical = canonical_release(run.repository, project, run.commit_sha)
    return Answer(RequestedRelease(canonical_id=canonical, status="pending", run_id=run.id), HTTPStatus.ACCEPTED)
