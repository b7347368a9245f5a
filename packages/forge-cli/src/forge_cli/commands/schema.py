"""`forge schema`: the schema that configurations are checked with."""

import asyncio
from pathlib import Path

import click

from forge_cli.configuration.component import installed_plugins, project_component
from forge_cli.configuration.schema import one_file
from forge_cli.configuration.snapshot import Snapshot, read_snapshot
from forge_cli.exits import Exit
from forge_project import compose
from forge_project.schema import RepositoryNames
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.discovery import RepositoryConfiguration
from forge_sdk.models.jobs import GitContext
from forge_sdk.plugins.manager import Plugins


@click.command("schema")
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
def command(path: Path) -> int:
    """Print the CUE schema, composed of the platform's and the installed plugins' definitions, as one file.

    Inside a repository (PATH, default: here) it knows the repository's phases and publishers; elsewhere any name passes.
    """
    plugins = installed_plugins()
    names = asyncio.run(_names(path, plugins))
    click.echo(one_file(compose(plugins, names)), nl=False)
    return Exit.SUCCESS


async def _names(path: Path, plugins: Plugins) -> RepositoryNames | None:
    try:
        snapshot = await read_snapshot(path)
    except ConfigurationError:
        return None  # the schema is of use outside of repositories too
    return await _defined(snapshot, plugins) if snapshot.configured else None


async def _defined(snapshot: Snapshot, plugins: Plugins) -> RepositoryNames | None:
    async with project_component(plugins) as component:
        try:
            document = await component.discover(snapshot.only_repository(), GitContext())
        except ConfigurationError:
            click.echo(
                "warning: the repository's configuration has problems (`forge validate` shows them): its phases and publishers are left out",
                err=True,
            )
            return None
    return _of_configuration(document.repository)


def _of_configuration(repository: RepositoryConfiguration | None) -> RepositoryNames | None:
    if repository is None:
        return None
    types = {publisher.name: publisher.type for publisher in repository.publishers}
    return RepositoryNames(phases=frozenset(phase.name for phase in repository.phases), publishers=types)
