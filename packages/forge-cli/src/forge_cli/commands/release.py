"""`forge release`: make, show, complete and verify releases."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
from rich.console import Console

from forge_cli.exits import Exit
from forge_cli.releases.projects import Project, find_project
from forge_cli.repository import commit_of
from forge_cli.session import call, platform
from forge_sdk.client import ApiClient
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.api import CreateRelease, Release, RequestedRelease, Run

Request = Callable[[ApiClient], Awaitable[RequestedRelease]]
SHA_LENGTH = 40
project_argument = click.argument("project")
release_argument = click.argument("release")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
no_wait_option = click.option("--no-wait", is_flag=True, help="Return as soon as the run is created.")


@click.group("release")
def command() -> None:
    """Make, show, complete and verify releases.

    PROJECT is owner/repo/project, or the project alone inside a checkout; RELEASE is a number, an alias, a SHA, or 7 or
    more digits of one.
    """


@command.command("create")
@project_argument
@click.argument("commit", required=False)
@click.option("--alias", "aliases", multiple=True, help="Another name for the release; may be given several times.")
@no_wait_option
@json_option
def create(project: str, commit: str | None, aliases: tuple[str, ...], no_wait: bool, as_json: bool) -> int:
    """Release PROJECT at COMMIT (default: HEAD of the checkout): a run with only the release stage."""
    found = find_project(project)
    here = found.checkout
    is_head = here is not None and (commit is None or _commit(found, commit) == here.commit_sha)
    body = CreateRelease(
        repository=found.repository,
        project=found.name,
        commit_sha=_commit(found, commit),
        branch=here.branch if here is not None and is_head else None,
        aliases=aliases,
    )
    return _ask(found, lambda client: client.create_release(body), wait=not no_wait, as_json=as_json)


@command.command("list")
@project_argument
@json_option
def list_releases(project: str, as_json: bool) -> int:
    """List the releases of PROJECT, newest first."""
    from forge_cli.releases.views import show_releases

    found = find_project(project)
    page = call(lambda client: client.releases(found.repository, found.name))
    if as_json:
        click.echo(page.model_dump_json(indent=2))
    else:
        show_releases(page.items)
    return Exit.SUCCESS


@command.command("show")
@project_argument
@release_argument
@json_option
def show(project: str, release: str, as_json: bool) -> int:
    """Show RELEASE of PROJECT: what it is made of, what reached the world, where it was deployed."""
    found = find_project(project)
    _print(call(lambda client: client.release(found.repository, found.name, release)), as_json=as_json)
    return Exit.SUCCESS


@command.command("retry")
@project_argument
@release_argument
@click.option("--failed", is_flag=True, help="Call unfinished publishers only; this is what happens without it, too.")
@click.option("--rebuild", is_flag=True, help="Build every artifact again and call every publisher.")
@no_wait_option
@json_option
def retry(project: str, release: str, *, failed: bool, rebuild: bool, no_wait: bool, as_json: bool) -> int:
    """Go on with a partial RELEASE of PROJECT, or by its commit with one that could not be made.

    What was published is not published again, what was built is not built again. Exit code 1 where it is still partial.
    """
    if failed and rebuild:
        raise click.UsageError("--failed and --rebuild exclude each other")
    found = find_project(project)
    return _ask(
        found,
        lambda client: client.retry_release(found.repository, found.name, release, rebuild=rebuild),
        wait=not no_wait,
        as_json=as_json,
    )


@command.command("give-up")
@project_argument
@release_argument
@json_option
def give_up(project: str, release: str, as_json: bool) -> int:
    """Give up what publishers have not done for a partial RELEASE: it stays partial, and its sealed copies may go."""
    found = find_project(project)
    _print(call(lambda client: client.give_up_release(found.repository, found.name, release)), as_json=as_json)
    return Exit.SUCCESS


@command.command("verify")
@project_argument
@release_argument
@click.option(
    "--registry", "host", help="Registry to read from (default: $FORGE_REGISTRY, else the embedded platform's)."
)
@click.option(
    "--public-key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Key whose signatures count (default: $FORGE_PUBLIC_KEY_FILES, else the embedded platform's).",
)
@json_option
def verify(project: str, release: str, host: str | None, keys: tuple[Path, ...], as_json: bool) -> int:
    """Verify the signatures of RELEASE of PROJECT and of its artifacts with a public key; no other service is asked.

    Exit code 1 where something does not hold.
    """
    from forge_cli.releases.images import find_registry, registry
    from forge_cli.releases.verification import Verdict
    from forge_cli.releases.verification import verify as verify_release

    found, place = find_project(project), find_registry(host, keys)

    async def check() -> list[Verdict]:
        async with platform() as client, registry(place) as images:
            wanted = await client.release(found.repository, found.name, release)
            return await verify_release(images, place, wanted)

    verdicts = asyncio.run(check())
    if as_json:
        import json

        click.echo(json.dumps([verdict.model_dump() for verdict in verdicts], indent=2))
    else:
        for verdict in verdicts:
            state = click.style("ok", fg="green") if verdict.problem is None else click.style("fails", fg="red")
            click.echo(f"{verdict.what}: {state}  {verdict.image}@{verdict.digest}")
            if verdict.problem is not None:
                click.echo(f"  {verdict.problem}")
    return Exit.FAILED if any(verdict.problem for verdict in verdicts) else Exit.SUCCESS


def _ask(project: Project, request: Request, *, wait: bool, as_json: bool) -> int:
    from forge_cli.outcome import report
    from forge_cli.releases.following import finished_release

    async def ask() -> tuple[RequestedRelease, Run | None, Release | None]:
        async with platform() as client:
            asked = await request(client)
            if not wait:
                return asked, None, None
            return asked, *await finished_release(client, project, asked, Console(stderr=True, quiet=as_json))

    asked, run, release = asyncio.run(ask())
    code = report(run) if run is not None else Exit.SUCCESS
    if release is not None:
        _print(release, as_json=as_json)
        return Exit.FAILED if release.status == "partial" else code
    if not wait:
        going = f", forge run --watch {asked.run_id}" if asked.run_id is not None else ""
        click.echo(asked.model_dump_json(indent=2) if as_json else f"{asked.canonical_id}: {asked.status}{going}")
    elif as_json and run is not None:
        click.echo(run.model_dump_json(indent=2))
    return code


def _print(release: Release, *, as_json: bool) -> None:
    from forge_cli.releases.views import show_release

    if as_json:
        click.echo(release.model_dump_json(indent=2))
    else:
        show_release(release)


def _commit(project: Project, commit: str | None) -> str:
    if project.checkout is not None:
        return commit_of(Path.cwd(), commit or "HEAD")
    if commit is None or len(commit) != SHA_LENGTH:
        raise ConfigurationError(f"outside of a checkout of {project.repository} give the commit's full SHA")
    return commit
