"""`forge render`: the manifests of a project."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forge_cli.exits import Exit

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from forge_cli.configuration.snapshot import Snapshot
    from forge_sdk.models.discovery import DiscoveredProject, DiscoveryDocument

SCHEMA_VERSION = "1.0"


def _complete_project(context: click.Context, _: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    from forge_cli.configuration.completion import complete_projects

    return complete_projects(context.params.get("path") or Path(), incomplete)


@click.command("render")
@click.argument("project", shell_complete=_complete_project)
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
@click.option(
    "--artifacts",
    "artifacts_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON or YAML: for each artifact the outputs that @artifact takes values from.",
)
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Write one file per resource into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document instead of YAML.")
def command(project: str, path: Path, *, artifacts_file: Path | None, output: Path | None, as_json: bool) -> int:
    """Render the Kubernetes resources of PROJECT in the repository that contains PATH (default: here).

    Without --artifacts this works where no @artifact is used. Exit code: 0, or 2 where the configuration has problems or an output is
    missing.
    """
    from forge_cli.configuration.artifacts import read_outputs
    from forge_cli.configuration.snapshot import read_snapshot

    snapshot = asyncio.run(read_snapshot(path))
    outputs = read_outputs(artifacts_file) if artifacts_file is not None else {}
    try:
        found, manifests = _rendered(snapshot, project, outputs)
    except click.exceptions.Exit:
        if artifacts_file is None:
            click.echo("@artifact takes its values from the file that --artifacts names", err=True)
        raise
    if not manifests:
        click.echo(f"project {project} has no deployment resources: there is nothing to render", err=True)
    if output is not None:
        _write(output, manifests)
    if as_json:
        click.echo(json.dumps(_document(found, manifests), indent=2, ensure_ascii=False))
    elif output is None:
        click.echo(b"---\n".join(manifests.values()), nl=False)
    return Exit.SUCCESS


def _rendered(
    snapshot: "Snapshot", name: str, outputs: Mapping[str, dict[str, Any]]
) -> "tuple[DiscoveredProject, dict[str, bytes]]":
    from forge_cli.configuration.evaluated import with_component
    from forge_project import ProjectComponent
    from forge_sdk.models.jobs import GitContext

    async def operation(component: ProjectComponent) -> tuple[DiscoveredProject, dict[str, bytes]]:
        project = _project(await component.discover(snapshot, GitContext()), name)
        return project, await component.render(snapshot, project.path, outputs)

    return with_component(snapshot, operation)


def _project(document: "DiscoveryDocument", name: str) -> "DiscoveredProject":
    from forge_project.problems import alternatives
    from forge_sdk.errors import ConfigurationError, ErrorCode

    found = {project.name: project for project in document.projects}
    if name not in found:
        hint = alternatives(name, found, "projects")
        raise ConfigurationError(f"there is no project {name!r}: {hint}", code=ErrorCode.NOT_FOUND)
    return found[name]


def _write(folder: Path, manifests: Mapping[str, bytes]) -> None:
    from forge_cli.configuration.manifests import write_manifests

    others = write_manifests(folder, manifests)
    click.echo(f"{len(manifests)} files written to {folder}", err=True)
    if others:
        click.echo(f"warning: {folder} holds other manifests too: {', '.join(others)}", err=True)


def _document(project: "DiscoveredProject", manifests: Mapping[str, bytes]) -> dict[str, Any]:
    import yaml

    loaded = {name: yaml.safe_load(content) for name, content in manifests.items()}
    return {
        "schemaVersion": SCHEMA_VERSION,
        "project": project.name,
        "path": project.path,
        "resources": [{"file": name, "object": resource} for name, resource in loaded.items()],
    }
