"""`forge logs`: print the logs of a run, or those of the embedded platform itself."""

import asyncio
import sys
from pathlib import Path
from uuid import UUID

import click

from forge_cli.exits import Exit
from forge_cli.following import follow_logs
from forge_cli.layout import Layout
from forge_cli.log_places import Wanted, places
from forge_cli.outcome import report
from forge_cli.session import platform
from forge_sdk.client import ApiClient
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.statuses import ExecutionStatus

TAIL = 64 * 1024


@click.command("logs")
@click.argument("run_id", type=click.UUID, required=False, metavar="RUN")
@click.option("-f", "--follow", is_flag=True, help="Print what is written until the run has ended.")
@click.option("--phase", help="Only this phase, or discovery, artifact, release, deployment.")
@click.option("--project", help="Only this project.")
@click.option("--step", help="Only this step.")
@click.option("--failed", is_flag=True, help="Only steps that failed.")
@click.option("--service", help="The log of a service of the embedded platform (api, worker, nats, ...) instead.")
def command(
    run_id: UUID | None,
    *,
    follow: bool,
    phase: str | None,
    project: str | None,
    step: str | None,
    failed: bool,
    service: str | None,
) -> int:
    """Print the logs of the steps of RUN; with --phase also those of other jobs.

    Exit code with --follow: that of the run.
    """
    if service is not None:
        return _service_log(Layout.default(), service)
    if run_id is None:
        raise click.UsageError("name the RUN (forge runs lists them), or give --service NAME")
    wanted = Wanted(phase, project, step, failed)
    return asyncio.run(_follow(run_id, wanted) if follow else _print(run_id, wanted))


async def _follow(run_id: UUID, wanted: Wanted) -> int:
    async with platform() as client:
        return report(await follow_logs(client, run_id, wanted))


async def _print(run_id: UUID, wanted: Wanted) -> int:
    async with platform() as client:
        run = await client.run(run_id)
        found = [place for place in places(run, wanted) if wanted.phase is not None or place.status]
        if not found:
            names = ", ".join(place.name for place in places(run, Wanted()))
            raise ConfigurationError(f"no log of run {run_id} matches: it has {names or 'none'}")
        for place in found:
            click.echo(f"==> {place.name}" + (f" ({place.status})" if place.status else ""), err=True)
            if place.status == ExecutionStatus.RUNNING:
                click.echo(f"still running: forge logs -f {run_id} follows it", err=True)
            elif place.complete:
                await _print_log(client, place.id)
            else:
                click.echo("it wrote no log", err=True)
    return Exit.SUCCESS


async def _print_log(client: ApiClient, step_id: UUID) -> None:
    try:
        await _copy(client, step_id)
    except PlatformError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        # The others are worth printing all the same.
        click.echo(error.message, err=True)


async def _copy(client: ApiClient, step_id: UUID) -> None:
    async with client.step_log(step_id) as content:
        async for chunk in content.iter_any():
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _service_log(layout: Layout, service: str) -> int:
    files = {
        path.stem: path
        for folder in (layout.logs, *layout.data.glob("services/*"))
        for path in sorted(folder.glob("*.log"))
    }
    if service not in files:
        raise ConfigurationError(
            f"there is no log of {service!r} in {layout.data}: there are {', '.join(sorted(files)) or 'none'}"
        )
    sys.stdout.buffer.write(_tail(files[service]))
    return Exit.SUCCESS


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read()
