"""Fills a project's attributes, evaluates it, checks its resources and writes them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from forge_cue import Evaluator, Fill
from forge_project.attributes.artifacts import artifact_filling
from forge_project.attributes.repository import repository_filling
from forge_project.discovery.discover import Discovery, ReadRepository
from forge_project.discovery.evaluated import Evaluated
from forge_project.discovery.explanation import Explainer
from forge_project.discovery.layout import ConfigurationFile, Layout, read_layout
from forge_project.discovery.reader import ConfigurationReader
from forge_project.discovery.repository import repository_values
from forge_project.problems import COMPONENT, alternatives, configuration_error
from forge_project.rendering.manifests import manifest
from forge_project.rendering.resources import file_names, resource_problems, resources
from forge_project.schema import RepositoryNames
from forge_sdk.errors import ConfigurationError, ErrorCode
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.plugins.manager import Plugins

Outputs = Mapping[str, Mapping[str, JsonValue]]


class Rendering:
    """Renders projects with the installed plugins."""

    def __init__(self, plugins: Plugins, evaluator: Evaluator, platform_version: str) -> None:
        self._plugins = plugins
        self._reader = ConfigurationReader(plugins, evaluator)
        self._discovery = Discovery(plugins, evaluator, platform_version)

    async def manifests(self, files: Mapping[str, bytes], project_path: str, artifacts: Outputs) -> dict[str, bytes]:
        """The manifests of the project at `project_path`, by file name; `ConfigurationError` with all problems."""
        layout = read_layout(files)
        file = _project_file(layout, project_path)
        repository = await self._repository(layout)
        project = await self._filled(file, repository, artifacts)
        found = resources(project)
        return await asyncio.to_thread(_written, found)

    async def _repository(self, layout: Layout) -> ReadRepository:
        assert layout.repository is not None  # noqa: S101 - projects exist beside it only
        repository = await self._discovery.repository(layout.repository)
        _stop_at([*layout.problems, *repository.problems])
        return repository

    async def _filled(self, file: ConfigurationFile, repository: ReadRepository, artifacts: Outputs) -> Evaluated:
        values = repository_values(repository.evaluated)
        problems: list[Diagnostic] = []

        def fills(project: Evaluated) -> Sequence[Fill]:
            found = [
                repository_filling(project.attributes, values),
                artifact_filling(project.attributes, artifacts),
            ]
            problems.extend(problem for filling in found for problem in filling.problems)
            return [fill for filling in found for fill in filling.fills]

        project = await self._reader.rendered(file, repository.names or RepositoryNames(), fills)
        explainer = Explainer(self._plugins, repository.names)
        unfilled = {problem.path for problem in problems}
        # A field whose attribute has no value is incomplete, which need not be said twice.
        project.errors = [one for one in project.errors if one.kind != "incomplete" or one.path not in unfilled]
        problems += explainer.problems(project)
        _stop_at(problems)
        _stop_at(await asyncio.to_thread(resource_problems, project))
        return project


def _project_file(layout: Layout, project_path: str) -> ConfigurationFile:
    found = next((one for one in layout.projects if one.project_path == project_path), None)
    if found is None:
        hint = alternatives(project_path, [one.project_path for one in layout.projects], "projects are at")
        raise ConfigurationError(
            f"there is no project at {project_path!r}: {hint}", code=ErrorCode.NOT_FOUND, component=COMPONENT
        )
    return found


def _stop_at(problems: Sequence[Diagnostic]) -> None:
    if problems:
        raise configuration_error(problems, code=ErrorCode.RENDERING_FAILED)


def _written(objects: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    named = zip(file_names(objects), objects, strict=True)
    return {name: manifest(resource) for name, resource in sorted(named, key=lambda entry: entry[0])}
