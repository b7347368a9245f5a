"""`forge validate`: every problem of a repository's configuration."""

import asyncio
from pathlib import Path

import click

from forge_cli.configuration.component import project_component
from forge_cli.configuration.diagnostics import show
from forge_cli.configuration.report import ValidationReport, report_lines
from forge_cli.configuration.snapshot import Snapshot, read_snapshot
from forge_cli.exits import Exit
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.jobs import GitContext


@click.command("validate")
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document instead.")
@click.option("--commit", "revision", metavar="SHA", help="Validate this commit instead of the working tree.")
def command(path: Path, *, as_json: bool, revision: str | None) -> int:
    """Validate the configuration of the repository that contains PATH (default: here).

    Untracked files count, ignored ones don't. All problems are reported. Exit code: 0 the configuration is fine, perhaps with
    warnings, 2 it has problems.
    """
    snapshot, report = asyncio.run(_validated(path, revision))
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        show(report_lines(report, snapshot))
    return Exit.SUCCESS if report.valid else Exit.USAGE


async def _validated(path: Path, revision: str | None) -> tuple[Snapshot, ValidationReport]:
    # Git reads while Python imports the plugins.
    reading = asyncio.create_task(read_snapshot(path, revision))
    async with project_component() as component:
        snapshot = await reading
        try:
            document = await component.discover(snapshot, GitContext())
        except ConfigurationError as error:
            return snapshot, ValidationReport.of_error(snapshot, error)
    return snapshot, ValidationReport.of_document(snapshot, document)
