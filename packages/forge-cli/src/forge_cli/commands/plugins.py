"""`forge plugins`: what is installed here, or on the platform."""

import click

from forge_cli.exits import Exit
from forge_cli.session import call
from forge_cli.tables import print_table
from forge_sdk.models.api import Plugins, PluginSet
from forge_sdk.plugins.manager import load_plugins


@click.command("plugins")
@click.option(
    "--platform",
    "of_platform",
    is_flag=True,
    help="What the platform's services have installed, instead of this environment.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(of_platform: bool, as_json: bool) -> int:
    """Show the installed plugins, and those that can't be used with the reason.

    Exit code 1 where a plugin can't be used.
    """
    found = call(lambda client: client.plugins()) if of_platform else _installed()
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        _show(found)
    return Exit.FAILED if any(one.problems for one in found.sets) else Exit.SUCCESS


def _installed() -> Plugins:
    plugins = load_plugins()
    here = PluginSet(service="this environment", plugins=tuple(plugins.descriptions), problems=tuple(plugins.problems))
    return Plugins(sets=(here,))


def _show(found: Plugins) -> None:
    print_table(
        ("service", "kind", "name", "distribution", "version"),
        [
            (one.service, plugin.kind, plugin.name, plugin.distribution, plugin.version)
            for one in found.sets
            for plugin in one.plugins
        ],
    )
    for one in found.sets:
        for problem in one.problems:
            click.echo(f"problem: {one.service}: {problem.message}", err=True)
