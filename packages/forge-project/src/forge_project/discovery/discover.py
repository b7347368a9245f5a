"""Makes the discovery document of a commit, or one report of everything that is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forge_cue import Evaluator
from forge_project.attributes import ARTIFACT
from forge_project.attributes.artifacts import ArtifactPaths
from forge_project.discovery.checks import (
    duplicate_projects,
    plugin_problems,
    project_problems,
    repository_problems,
)
from forge_project.discovery.evaluated import Evaluated
from forge_project.discovery.explanation import Explainer
from forge_project.discovery.layout import ConfigurationFile, read_layout
from forge_project.discovery.projects import discovered_project, known_artifacts
from forge_project.discovery.reader import ConfigurationReader
from forge_project.discovery.repository import (
    check_version,
    phase_groups,
    repository_configuration,
    repository_names,
    repository_values,
)
from forge_project.discovery.triggers import matched_triggers
from forge_project.problems import configuration_error, sorted_diagnostics
from forge_project.schema import RepositoryNames
from forge_sdk.models.discovery import Diagnostic, DiscoveredProject, DiscoveryDocument, RepositoryConfiguration
from forge_sdk.models.jobs import GitContext
from forge_sdk.plugins.manager import Plugins


@dataclass(frozen=True)
class ReadRepository:
    """The repository's configuration; `configuration` and `names` are absent where it has errors."""

    evaluated: Evaluated
    names: RepositoryNames | None
    configuration: RepositoryConfiguration | None
    problems: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]


class Discovery:
    """Discovers the projects of a source with the installed plugins."""

    def __init__(self, plugins: Plugins, evaluator: Evaluator, platform_version: str) -> None:
        self._plugins = plugins
        self._reader = ConfigurationReader(plugins, evaluator)
        self._platform_version = platform_version

    async def document(self, files: Mapping[str, bytes], git: GitContext) -> DiscoveryDocument:
        """The discovery document of the files that a `SourceTree` gives; `ConfigurationError` with all problems."""
        layout = read_layout(files)
        if layout.repository is None:
            _stop_at(layout.problems)
            return DiscoveryDocument()
        repository = await self.repository(layout.repository)
        values = repository_values(repository.evaluated) if repository.configuration is not None else None
        projects, attribute_problems = await self._reader.projects(layout.projects, values, repository.names)
        problems = [*layout.problems, *repository.problems, *attribute_problems]
        problems += self._problems(projects, repository)
        _stop_at(problems)
        assert repository.configuration is not None  # noqa: S101 - without problems it is there
        found = _discovered(projects, repository.configuration, git)
        return _document(repository.configuration, found, [*layout.warnings, *repository.warnings])

    async def repository(self, file: ConfigurationFile) -> ReadRepository:
        """The repository's configuration; `ConfigurationError` where it is for another major version."""
        evaluated = await self._reader.repository(file)
        warnings = check_version(evaluated, self._platform_version)
        explainer = Explainer(self._plugins, None)
        problems = [*explainer.problems(evaluated), *repository_problems(evaluated)]
        usable = not evaluated.errors and bool(evaluated.value)
        return ReadRepository(
            evaluated=evaluated,
            names=repository_names(evaluated) if usable else None,
            configuration=repository_configuration(evaluated) if usable else None,
            problems=tuple(problems),
            warnings=tuple(warnings),
        )

    def _problems(self, projects: Sequence[Evaluated], repository: ReadRepository) -> Iterator[Diagnostic]:
        explainer = Explainer(self._plugins, repository.names)
        phases = repository.configuration.phases if repository.configuration is not None else ()
        required = [phase.name for phase in phases if phase.required]
        for project in projects:
            yield from explainer.problems(project)
            yield from project_problems(project, required)
            yield from plugin_problems(project, repository.names or RepositoryNames(), self._plugins)
            if repository.configuration is not None:
                yield from self._attribute_problems(project, repository.configuration)
        yield from duplicate_projects(projects)

    def _attribute_problems(self, project: Evaluated, repository: RepositoryConfiguration) -> Iterator[Diagnostic]:
        if all(attribute.name != ARTIFACT for attribute in project.attributes):
            return
        paths = ArtifactPaths(known_artifacts(project), repository, self._plugins)
        found = (paths.problem(attribute) for attribute in project.attributes if attribute.name == ARTIFACT)
        yield from (problem for problem in found if problem is not None)


def _stop_at(problems: Sequence[Diagnostic]) -> None:
    if problems:
        raise configuration_error(problems)


def _discovered(
    projects: Sequence[Evaluated], repository: RepositoryConfiguration, git: GitContext
) -> list[DiscoveredProject]:
    strategy = repository.tagging_strategy
    found = [
        discovered_project(project, matched_triggers(str(project.value["name"]), project.at("release"), git, strategy))
        for project in projects
    ]
    return sorted(found, key=lambda project: project.path)


def _document(
    repository: RepositoryConfiguration, projects: Sequence[DiscoveredProject], warnings: Sequence[Diagnostic]
) -> DiscoveryDocument:
    released = tuple(project.name for project in projects if project.release_triggered)
    return DiscoveryDocument(
        repository=repository,
        projects=tuple(projects),
        phase_groups=phase_groups(repository),
        release_enabled=bool(released),
        release_projects=released,
        warnings=tuple(sorted_diagnostics(warnings)),
    )
