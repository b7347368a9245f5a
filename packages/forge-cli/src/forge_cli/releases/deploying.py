"""Asks for a deployment and says what became of it."""

import asyncio

import click

from forge_cli.errors import lines
from forge_cli.exits import Exit
from forge_cli.releases.following import ended_deployment
from forge_cli.releases.views import show_deployments
from forge_cli.session import platform
from forge_sdk.models.api import CreateDeployment, Deployment
from forge_sdk.models.statuses import DeploymentStatus

UNSUCCESSFUL = {DeploymentStatus.FAILED, DeploymentStatus.REFUSED}


def deploy(body: CreateDeployment, *, wait: bool, as_json: bool) -> int:
    """Exit code 0 where the deployment is active (or accepted, without `wait`), 1 where it failed or was refused."""

    async def ask() -> Deployment:
        async with platform() as client:
            deployment = await client.create_deployment(body)
            return await ended_deployment(client, deployment) if wait else deployment

    found = asyncio.run(ask())
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        show_deployments([found])
    if found.error is not None:
        click.echo("\n".join(lines(found.error)), err=True)
    if found.intent is not None:
        click.echo(
            f"automatic deployments of {found.repository}/{found.project} to {found.environment} are held; lift the hold "
            f"with: forge env hold lift {found.environment} {found.repository}/{found.project}",
            err=True,
        )
    return Exit.FAILED if found.status in UNSUCCESSFUL else Exit.SUCCESS
