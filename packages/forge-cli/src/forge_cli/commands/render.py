"""`forge render`: the manifests of a project."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from click.shell_completion import CompletionItem
from pydantic import JsonValue

from forge_cli.configuration.artifacts import Outputs, read_outputs
from forge_cli.configuration.completion import complete_projects
from forge_cli.configuration.evaluated import with_component
from forge_cli.configuration.manifests import write_manifests
from forge_cli.configuration.report import diagnostics_of
from forge_cli.configuration.snapshot import Snapshot, read_snapshot
from forge_cli.exits import Exit
from forge_project import ProjectComponent
from forge_project.problems import alternatives
from forge_sdk.errors import ConfigurationError, ErrorCode
from forge_sdk.models.base import SCHEMA_VERSION
from forge_sdk.models.discovery import DiscoveredProject, DiscoveryDocument
from forge_sdk.models.jobs import GitContext

Rendered = tuple[DiscoveredProject, dict[str, bytes]]


def _complete_project(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return complete_projects(context.params.get("path") or Path(), incomplete)


@click.command("render")
@click.argument("project", shell_complete=_complete_project)
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
@click.option(
    "--artifacts",
    "artifacts_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSON or YAML: for each artifact the outputs that @artifact takes values from.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write one file for each resource into this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document instead of YAML.")
def command(project: str, path: Path, *, artifacts_file: Path | None, output: Path | None, as_json: bool) -> int:
    """Render the Kubernetes resources of PROJECT in the repository that contains PATH (default: here).

    Without --artifacts this works where no @artifact is used. Exit code: 0, or 2 where the configuration has problems or an output is
    missing.
    """
    outputs = read_outputs(artifacts_file) if artifacts_file is not None else None
    snapshot = asyncio.run(read_snapshot(path))
    found, manifests = with_component(snapshot, lambda component: _render(component, snapshot, project, outputs))
    if not manifests:
        click.echo(f"project {project} has no deployment resources: there is nothing to render", err=True)
    if output is not None:
        _write(output, manifests)
    if as_json:
        click.echo(json.dumps(_document(found, manifests), indent=2, ensure_ascii=False))
    elif output is None:
        click.echo(b"---\n".join(manifests.values()), nl=False)
    return Exit.SUCCESS


async def _render(component: ProjectComponent, snapshot: Snapshot, name: str, outputs: Outputs | None) -> Rendered:
    project = _project(await component.discover(snapshot, GitContext()), name)
    try:
        return project, await component.render(snapshot, project.path, outputs or {})
    except ConfigurationError as error:
        raise (error if outputs is not None else _naming_the_option(error)) from error.__cause__


def _project(document: DiscoveryDocument, name: str) -> DiscoveredProject:
    found = {project.name: project for project in document.projects}
    if name not in found:
        hint = alternatives(name, found, "projects")
        raise ConfigurationError(f"there is no project {name!r}: {hint}", code=ErrorCode.NOT_FOUND)
    return found[name]


def _naming_the_option(error: ConfigurationError) -> ConfigurationError:
    hint = "give the outputs of the artifacts with --artifacts FILE"
    problems: list[JsonValue] = [
        (one.model_copy(update={"hint": hint}) if one.kind == "attribute" else one).model_dump(mode="json")
        for one in diagnostics_of(error)
    ]
    return ConfigurationError(error.message, code=error.code, context={**error.context, "diagnostics": problems})


def _write(folder: Path, manifests: Mapping[str, bytes]) -> None:
    others = write_manifests(folder, manifests)
    click.echo(f"{len(manifests)} files written to {folder}", err=True)
    if others:
        click.echo(f"warning: {folder} holds other manifests too: {', '.join(others)}", err=True)


def _document(project: DiscoveredProject, manifests: Mapping[str, bytes]) -> dict[str, Any]:
    resources = [{"file": name, "object": yaml.safe_load(content)} for name, content in manifests.items()]
    return {"schemaVersion": SCHEMA_VERSION, "project": project.name, "path": project.path, "resources": resources}
