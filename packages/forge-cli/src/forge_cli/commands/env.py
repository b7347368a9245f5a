"""`forge env`: environments, what runs where, and holds."""

import asyncio
import json
from typing import Any

import click

from forge_cli.exits import Exit
from forge_cli.releases.projects import find_project
from forge_cli.session import call, platform
from forge_sdk.client import ApiClient
from forge_sdk.models.api import Deployment, Environment, Hold

MAX_PAGES = 20
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("env", invoke_without_command=True)
@click.option("--repository", help="Only what runs of this repository (owner/name).")
@json_option
@click.pass_context
def command(context: click.Context, repository: str | None, as_json: bool) -> int:
    """Show the environments with their policies, what runs in them, and holds on automatic deployments."""
    if context.invoked_subcommand is not None:
        return Exit.SUCCESS
    environments, active, holds = asyncio.run(_look(repository))
    if as_json:
        shown = {
            "environments": [entry.model_dump(mode="json") for entry in environments],
            "active": [entry.model_dump(mode="json") for entry in active],
            "holds": [entry.model_dump(mode="json") for entry in holds],
        }
        click.echo(json.dumps(shown, indent=2))
    else:
        _show(environments, active, holds)
    return Exit.SUCCESS


@command.command("history")
@click.argument("environment")
@click.argument("project")
@json_option
def history(environment: str, project: str, as_json: bool) -> int:
    """List the deployments of PROJECT to ENVIRONMENT, newest first."""
    from forge_cli.releases.views import show_deployments

    found = find_project(project)
    page = call(lambda client: client.deployments(environment, found.repository, found.name))
    if as_json:
        click.echo(page.model_dump_json(indent=2))
    else:
        show_deployments(page.items)
    return Exit.SUCCESS


@command.group("hold")
def hold() -> None:
    """Holds on automatic deployments."""


@hold.command("lift")
@click.argument("environment")
@click.argument("project")
def lift(environment: str, project: str) -> int:
    """Let automatic deployments of PROJECT to ENVIRONMENT go on."""
    found = find_project(project)
    call(lambda client: client.lift_hold(environment, found.repository, found.name))
    click.echo(f"automatic deployments of {found} to {environment} go on")
    return Exit.SUCCESS


async def _look(repository: str | None) -> tuple[list[Environment], list[Deployment], list[Hold]]:
    async with platform() as client:
        environments = list((await client.environments()).items)
        active = [entry for found in environments for entry in await _active(client, found.name, repository)]
        holds = [entry for entry in (await client.holds()).items if repository in {None, entry.repository}]
    return environments, active, holds


async def _active(client: ApiClient, environment: str, repository: str | None) -> list[Deployment]:
    found: list[Deployment] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await client.active_deployments(environment, repository=repository, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _show(environments: list[Environment], active: list[Deployment], holds: list[Hold]) -> None:
    from forge_cli.releases.views import moment, show_deployments
    from forge_cli.tables import print_table

    print_table(("environment", "policy"), [(found.name, _policy(found.policy)) for found in environments])
    click.echo("")
    show_deployments(active)
    if holds:
        click.echo("")
        print_table(
            ("environment", "held project", "since", "by", "reason"),
            [
                (
                    found.environment,
                    f"{found.repository}/{found.project}",
                    moment(found.created_at),
                    found.set_by,
                    found.reason,
                )
                for found in holds
            ],
        )


def _policy(policy: dict[str, Any]) -> str:
    rules = {
        **policy.get("promotion_policy", {}),
        **{name: value for name, value in policy.items() if name == "freeze"},
    }
    shown = [f"{name}: {_value(value)}" for name, value in rules.items()]
    return "; ".join(shown).replace("[", "\\[") or "anything"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value)
