"""Waits for what was asked for: a run that makes a release, a deployment."""

import asyncio

from rich.console import Console

from forge_cli.interrupts import cancelling
from forge_cli.progress import progress
from forge_cli.releases.projects import Project
from forge_cli.watch import follow
from forge_sdk.client import ApiClient
from forge_sdk.models.api import Deployment, Release, RequestedRelease, Run
from forge_sdk.models.statuses import DeploymentStatus, RunStatus

POLL_S = 0.3
UNFINISHED = {DeploymentStatus.QUEUED, DeploymentStatus.PENDING}


async def finished_release(
    client: ApiClient, project: Project, asked: RequestedRelease, console: Console
) -> tuple[Run | None, Release | None]:
    """The run that was to make the release, where there was one, at its end, and the release unless that failed."""
    run = None
    if asked.run_id is not None:
        with cancelling(client, asked.run_id), progress(console) as show:
            run = await follow(client, asked.run_id, show)
        if run.status is not RunStatus.SUCCESS:
            return run, None
    return run, await client.release(project.repository, project.name, asked.canonical_id.rpartition("/")[2])


async def ended_deployment(client: ApiClient, deployment: Deployment) -> Deployment:
    """The deployment once it is neither pending nor queued."""
    while deployment.status in UNFINISHED:
        await asyncio.sleep(POLL_S)
        deployment = await _look(client, deployment)
    return deployment


async def _look(client: ApiClient, deployment: Deployment) -> Deployment:
    cursor: str | None = None
    while True:
        page = await client.deployments(
            deployment.environment, deployment.repository, deployment.project, cursor=cursor
        )
        for found in page.items:
            if found.id == deployment.id:
                return found
        cursor = page.next_cursor
        if cursor is None:
            return deployment
