"""`forge init`: write a configuration for what is in a repository."""

import asyncio
import os
import re
import shlex
from pathlib import Path

import click

from forge_cli.configuration.diagnostics import Reporter, show
from forge_cli.configuration.snapshot import REPOSITORY_FILE, Snapshot, read_snapshot
from forge_cli.exits import Exit
from forge_cli.init.inspection import candidates, inspect
from forge_cli.init.proposal import project_name
from forge_cli.init.session import PROJECT_FILE, Initialization, RefusedProposalError
from forge_cli.init.writing import FOLDER, refuse_existing
from forge_cli.repository import files_of, is_ignored
from forge_sdk.errors import ConfigurationError

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
MAX_SUGGESTED = 10


@click.command("init")
@click.argument("kind", type=click.Choice(["repo", "project"]), required=False)
@click.argument("name", required=False)
@click.option(
    "--path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    metavar="DIR",
    help="Folder of the project, or any folder of the repository (default: here).",
)
def command(kind: str | None, name: str | None, *, path: Path) -> int:
    """Look at what is in a repository, and write the configuration that fits.

    `forge init repo` writes .forge/repo.cue at the root, `forge init project NAME` .forge/project.cue in the folder DIR; `forge init`
    writes whichever is missing. Nothing is overwritten, and only what is valid is written. Exit code: 0, or 2 where nothing can be
    written.
    """
    if name is not None and not NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no name of a project: take letters, digits and single hyphens between them, at most 63"
        )
    if kind == "repo" and name is not None:
        raise click.UsageError("a repository has no NAME: write `forge init repo`")
    folder = path.resolve()
    initialization = Initialization(asyncio.run(read_snapshot(folder)))
    try:
        _write(initialization, kind, folder, name)
    except RefusedProposalError as error:
        show(Reporter(error.snapshot).lines(error.problems), err=True)
        raise ConfigurationError("what forge init proposes does not fit the repository: it was not written") from None
    finally:
        _say_written(initialization)
    _say_next(initialization)
    return Exit.SUCCESS


def _write(initialization: Initialization, kind: str | None, folder: Path, name: str | None) -> None:
    snapshot = initialization.snapshot
    if kind == "repo" or (kind is None and not snapshot.configured):
        initialization.repository(single_project=_is_single(snapshot.root))
    if kind == "project" and not snapshot.configured:
        raise ConfigurationError(
            f"{snapshot.root} has no {REPOSITORY_FILE}: run `forge init repo` first, or `forge init`"
        )
    if kind == "project" or (kind is None and _is_missing(initialization, folder)):
        initialization.project(folder, name)


def _is_single(root: Path) -> bool:
    return inspect(root).anything and not [one for one in candidates(files_of(root)) if one != "."]


def _is_missing(initialization: Initialization, folder: Path) -> bool:
    """Whether the folder's project is to be written too."""
    if not initialization.written:
        refuse_existing(folder / FOLDER / PROJECT_FILE)
        return True
    return not (folder / FOLDER / PROJECT_FILE).exists() and inspect(folder).anything


def _say_written(initialization: Initialization) -> None:
    for file in initialization.written:
        click.echo(f"wrote {os.path.relpath(file)}")


def _say_next(initialization: Initialization) -> None:
    for remark in initialization.remarks:
        click.echo(f"note: {remark}")
    root = initialization.snapshot.root
    for file in initialization.written:
        if is_ignored(root, file):
            click.echo(f"warning: .gitignore hides {os.path.relpath(file)}, so it will not be found", err=True)
    click.echo("next:")
    for folder in _unconfigured(initialization.snapshot)[:MAX_SUGGESTED]:
        click.echo(
            f"  forge init project {project_name(Path(folder).name)} --path {shlex.quote(os.path.relpath(root / folder))}"
        )
    click.echo("  forge validate, then commit and `forge run`")


def _unconfigured(snapshot: Snapshot) -> list[str]:
    """Folders below the root that look like projects and are part of none."""
    suffix = f"/{FOLDER}/{PROJECT_FILE}"
    projects = [file.removesuffix(suffix) for file in snapshot.contents if file.endswith(suffix)]
    found = [one for one in candidates(files_of(snapshot.root)) if one != "."]
    return [one for one in found if not any(f"{one}/".startswith(f"{project}/") for project in projects)]
