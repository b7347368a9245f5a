"""`forge logs`: print the logs of a run, or those of the embedded platform itself."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import click

from forge_cli.exits import Exit
from forge_cli.layout import Layout
from forge_cli.session import platform
from forge_sdk.client import ApiClient
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.api import Run, Step

TAIL = 64 * 1024


@click.command("logs")
@click.argument("run_id", type=click.UUID, required=False, metavar="RUN")
@click.option("--phase", help="Only this phase.")
@click.option("--project", help="Only this project.")
@click.option("--step", help="Only this step.")
@click.option("--failed", is_flag=True, help="Only steps that failed.")
@click.option("--service", help="The log of a service of the embedded platform (api, worker, nats, ...) instead.")
def command(
    run_id: UUID | None, *, phase: str | None, project: str | None, step: str | None, failed: bool, service: str | None
) -> int:
    """Print the logs of the steps of RUN."""
    if service is not None:
        return _service_log(Layout.default(), service)
    if run_id is None:
        raise click.UsageError("name the RUN (forge runs lists them), or give --service NAME")
    wanted = {"phase": phase, "project": project, "step": step}
    return asyncio.run(
        _print(run_id, {name: value for name, value in wanted.items() if value is not None}, failed=failed)
    )


async def _print(run_id: UUID, wanted: dict[str, str], *, failed: bool) -> int:
    async with platform() as client:
        run = await client.run(run_id)
        found = [
            (place, step)
            for place, step in _steps(run)
            if wanted.items() <= place.items() and (step.status == "failed" or not failed)
        ]
        if not found:
            raise ConfigurationError(f"no step of run {run_id} matches: it has {_names(run) or 'none'}")
        for place, step in found:
            click.echo(f"==> {place['phase']} {place['project']} {place['step']} ({step.status})", err=True)
            if step.logs_available:
                await _copy(client, step.id)
    return Exit.SUCCESS


async def _copy(client: ApiClient, step_id: UUID) -> None:
    async with client.step_log(step_id) as content:
        async for chunk in content.iter_any():
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _steps(run: Run) -> Iterator[tuple[dict[str, str], Step]]:
    for phase in run.phases:
        for task in phase.tasks:
            for step in task.steps:
                yield {"phase": phase.name, "project": task.project, "step": step.name}, step


def _names(run: Run) -> str:
    return ", ".join("/".join(place.values()) for place, _ in _steps(run))


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
