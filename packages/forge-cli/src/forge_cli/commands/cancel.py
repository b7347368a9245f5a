"""`forge cancel`: cancel a run."""

import asyncio
from uuid import UUID

import click

from forge_cli.exits import Exit
from forge_cli.session import platform
from forge_cli.watch import follow
from forge_sdk.models.api import Run
from forge_sdk.models.statuses import RunStatus


@click.command("cancel")
@click.argument("run_id", type=click.UUID, metavar="RUN")
@click.option("--no-wait", is_flag=True, help="Return as soon as it is asked, while processes still end.")
def command(run_id: UUID, *, no_wait: bool) -> int:
    """Cancel RUN and wait until its processes have ended.

    Exit code: 0 it was cancelled, 1 it had ended before, 3 no platform answers.
    """
    run = asyncio.run(_cancel(run_id, wait=not no_wait))
    if not run.status.finished:
        click.echo(f"run {run_id} is being cancelled: forge run --watch {run_id}", err=True)
        return Exit.SUCCESS
    if run.status is not RunStatus.CANCELLED:
        click.echo(f"run {run_id} had ended before: {run.status}", err=True)
        return Exit.FAILED
    click.echo(f"run {run_id} is cancelled; go on with: forge retry {run_id} --failed", err=True)
    return Exit.SUCCESS


async def _cancel(run_id: UUID, *, wait: bool) -> Run:
    async with platform() as client:
        await client.cancel_run(run_id)
        if wait:
            return await follow(client, run_id, lambda _: None)
        return await client.run(run_id)
