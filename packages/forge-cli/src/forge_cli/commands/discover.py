"""`forge discover`: what a run would find in a repository."""

import asyncio
from pathlib import Path

import click

from forge_cli.configuration.diagnostics import show
from forge_cli.configuration.evaluated import show_warnings, with_component
from forge_cli.configuration.overview import overview
from forge_cli.configuration.snapshot import REPOSITORY_FILE, read_snapshot
from forge_cli.exits import Exit
from forge_cli.repository import current_branch
from forge_sdk.models.jobs import GitContext
from forge_sdk.models.statuses import TriggerType


@click.command("discover")
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
@click.option("--json", "as_json", is_flag=True, help="Print the discovery document.")
@click.option("--commit", "revision", metavar="SHA", help="Discover this commit instead of the working tree.")
@click.option("--branch", help="Evaluate release triggers for this branch (default: the one that is checked out).")
@click.option("--tag", help="Evaluate release triggers for this tag.")
@click.option(
    "--event",
    type=click.Choice([kind.value for kind in TriggerType]),
    default=TriggerType.MANUAL.value,
    show_default=True,
    help="What starts the run.",
)
def command(path: Path, *, as_json: bool, revision: str | None, branch: str | None, tag: str | None, event: str) -> int:
    """Show phases, projects and releases that a run of the repository that contains PATH (default: here) would have.

    Exit code: 0, or 2 where the configuration has problems, which are shown as `forge validate` does.
    """
    snapshot = asyncio.run(read_snapshot(path, revision))
    if branch is None and revision is None and tag is None:
        branch = current_branch(snapshot.root)
    git = GitContext(branch=branch, tag=tag, event=TriggerType(event))
    document = with_component(snapshot, lambda component: component.discover(snapshot, git))
    show_warnings(snapshot, document.warnings)
    if as_json:
        click.echo(document.model_dump_json(indent=2))
    elif document.repository is None:
        show(
            [
                f"there is no {REPOSITORY_FILE} in {snapshot.root}: the repository has no projects; `forge init` writes one"
            ]
        )
    else:
        show(overview(document, git))
    return Exit.SUCCESS
