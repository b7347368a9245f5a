"""`forge diff`: what a deployment would change."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from forge_cli.exits import Exit
from forge_cli.releases.projects import Project, find_project
from forge_cli.session import platform
from forge_sdk.client import ApiClient
from forge_sdk.models.api import Deployment, Release
from forge_sdk.models.statuses import DeploymentStatus

COLORS = {"+": "green", "-": "red", "@": "cyan"}
HISTORY_PAGES = 20


@click.command("diff")
@click.argument("environment")
@click.argument("project")
@click.argument("release")
@click.option(
    "--registry", "host", help="Registry to read from (default: $FORGE_REGISTRY, else the embedded platform's)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(environment: str, project: str, release: str, host: str | None, as_json: bool) -> int:
    """Show what deploying RELEASE of PROJECT to ENVIRONMENT would change, without deploying it.

    Deleted objects come first; what roles and bindings allow and the packages inside the artifacts are compared, too. Inside a
    checkout the commits in between are listed.
    """
    found = find_project(project)
    shown = asyncio.run(_compare(environment, found, release, host))
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    else:
        _print(shown)
    return Exit.SUCCESS


async def _compare(environment: str, project: Project, reference: str, host: str | None) -> dict[str, Any]:
    from forge_cli.releases.comparison import compare
    from forge_cli.releases.images import documents, find_registry, pull_release, registry
    from forge_cli.releases.packages import changed_packages, packages_of
    from forge_cli.releases.permissions import permissions
    from forge_cli.repository import commits_between

    async with platform() as client, registry(find_registry(host)) as images:
        wanted = await client.release(project.repository, project.name, reference)
        active = await _active(client, environment, project)
        new = documents((await pull_release(images, wanted.oci_uri, wanted.oci_digest)).files)
        old = documents((await pull_release(images, active.oci_uri, active.oci_digest)).files) if active else []
        packages = (await packages_of(images, active) if active else {}, await packages_of(images, wanted))
    allowed = permissions(old), permissions(new)
    known = project.checkout is not None and active is not None
    return {
        "environment": environment,
        "from": _summary(active) if active else None,
        "to": _summary(wanted),
        "commits": commits_between(Path.cwd(), active.commit_sha, wanted.commit_sha) if known and active else None,
        "objects": [
            {"change": found.change, "object": str(found.object), "difference": list(found.lines)}
            for found in compare(old, new)
        ],
        "permissions": {"removed": sorted(allowed[0] - allowed[1]), "added": sorted(allowed[1] - allowed[0])},
        "packages": [asdict(change) for change in changed_packages(*packages)],
        "without_sbom": sorted({name for side in packages for name, found in side.items() if found is None}),
    }


async def _active(client: ApiClient, environment: str, project: Project) -> Release | None:
    cursor: str | None = None
    for _ in range(HISTORY_PAGES):
        page = await client.deployments(environment, project.repository, project.name, cursor=cursor)
        found = next((entry for entry in page.items if _is_active(entry)), None)
        if found is not None:
            return await client.release(project.repository, project.name, found.commit_sha)
        cursor = page.next_cursor
        if cursor is None:
            break
    return None


def _is_active(deployment: Deployment) -> bool:
    return deployment.status is DeploymentStatus.ACTIVE


def _summary(release: Release) -> dict[str, Any]:
    return {"release": release.release_number, "commit": release.commit_sha}


def _print(shown: dict[str, Any]) -> None:
    before, after = shown["from"], shown["to"]
    start = f"release {before['release']} ({before['commit'][:12]})" if before else "nothing"
    click.echo(f"{shown['environment']}: {start} -> release {after['release']} ({after['commit'][:12]})")
    for commit in shown["commits"] or []:
        click.echo(f"  {commit}")
    if not shown["objects"]:
        click.echo("no object changes")
    for found in shown["objects"]:
        _print_object(found)
    _print_permissions(shown["permissions"])
    _print_packages(shown["packages"], shown["without_sbom"])


def _print_permissions(changes: dict[str, list[str]]) -> None:
    if not any(changes.values()):
        return
    click.echo(click.style("\npermissions", bold=True))
    for sign, lines in (("-", changes["removed"]), ("+", changes["added"])):
        for line in lines:
            click.echo(click.style(f"  {sign} {line}", fg=COLORS[sign]))


def _print_packages(changes: list[dict[str, Any]], without: list[str]) -> None:
    if changes:
        click.echo(click.style("\npackages", bold=True))
    for change in changes:
        before, after = (", ".join(change[side]) or "none" for side in ("before", "after"))
        click.echo(f"  {change['artifact']}: {change['name']} {before} -> {after}")
    for artifact in without:
        click.echo(f"artifact {artifact} has no SBOM in one of the releases: its packages can't be compared", err=True)


def _print_object(found: dict[str, Any]) -> None:
    if found["change"] == "deleted":
        click.echo(click.style(f"\nDELETED {found['object']}", fg="red", bold=True))
        return
    click.echo(click.style(f"\n{found['change']} {found['object']}", bold=True))
    for line in found["difference"]:
        click.echo(click.style(f"  {line}", fg=COLORS.get(line[:1])))
