"""The discovery document: what a commit's configuration says, in one versioned piece of JSON.

JSON names follow the configuration (`forgeVersion`, `phaseGroups`, `releaseTriggered`).
"""

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from forge_sdk.models.base import SCHEMA_VERSION, CamelModel, SchemaVersion
from forge_sdk.models.statuses import ArtifactType, ReleaseTriggerType
from forge_sdk.secrets import SecretReference


class Diagnostic(CamelModel):
    """One problem of a configuration: what is wrong, where, and what may have been meant. Lines and columns start at 1."""

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    kind: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.file else ""
        return f"{place}{self.message}" + (f" ({self.hint})" if self.hint else "")


class PhaseDefinition(CamelModel):
    """A phase of the repository; `timeout_s` in seconds."""

    name: str
    group: int
    description: str = ""
    timeout_s: float = 1800.0
    required: bool = False


class PublisherDefinition(CamelModel):
    """A publisher of the repository; `configuration` holds the fields of its type."""

    name: str
    type: str
    configuration: dict[str, JsonValue] = Field(default_factory=dict)
    credentials: SecretReference | None = None


class RepositoryConfiguration(CamelModel):
    """What `.forge/repo.cue` says."""

    forge_version: str
    tagging_strategy: Literal["monorepo", "tag-all"]
    concurrency: Literal["cancel", "queue"] | None = None
    phases: tuple[PhaseDefinition, ...] = ()
    publishers: tuple[PublisherDefinition, ...] = ()

    def publisher(self, name: str) -> PublisherDefinition:
        """The publisher of that name; `KeyError` where there is none."""
        return next((found for found in self.publishers if found.name == name), None) or _missing(name)


class StepSecret(CamelModel):
    """A secret that a step gets in the environment variable `env`."""

    env: str
    reference: SecretReference


class StepDefinition(CamelModel):
    """One step of a project in a phase; `configuration` holds the fields of its action."""

    name: str
    action: str
    configuration: dict[str, JsonValue] = Field(default_factory=dict)
    priority: int = 0
    timeout_s: float | None = None
    secrets: tuple[StepSecret, ...] = ()


class ProjectPhase(CamelModel):
    """The steps of a project in a phase, in waves: a wave's steps run in parallel, the waves one after the other."""

    name: str
    waves: tuple[tuple[StepDefinition, ...], ...]


class ArtifactPublisher(CamelModel):
    """A publisher of an artifact, by the repository's name, with the project's own fields."""

    name: str
    configuration: dict[str, JsonValue] = Field(default_factory=dict)


class ArtifactDefinition(CamelModel):
    """An artifact of a project; publishers in the order of the source text."""

    name: str
    type: ArtifactType
    producer: str
    configuration: dict[str, JsonValue] = Field(default_factory=dict)
    publishers: tuple[ArtifactPublisher, ...] = ()


class MatchedTrigger(CamelModel):
    """A release trigger that the Git context satisfies."""

    trigger_type: ReleaseTriggerType
    branch: str | None = None
    tag: str | None = None


class ReleaseTrigger(CamelModel):
    """When a project is released: by pushes to branches that match the pattern, or by its tags."""

    branch: str | None = None
    tag: bool | None = None


class DiscoveredProject(CamelModel):
    """A project of the commit; `path` is relative to the repository's root, `.` for the root itself.

    `release_on` are all its triggers (nothing where it is never released), `triggers` those that matched the event of the
    discovery.
    """

    name: str
    path: str
    phases: tuple[ProjectPhase, ...] = ()
    artifacts: tuple[ArtifactDefinition, ...] = ()
    triggers: tuple[MatchedTrigger, ...] = ()
    release_on: tuple[ReleaseTrigger, ...] | None = None
    release_triggered: bool = False
    deployment: bool = False


class PhaseGroup(CamelModel):
    """Phases with the same group number, which run in parallel."""

    group: int
    phases: tuple[str, ...]


class DiscoveryDocument(CamelModel):
    """Everything that a run needs to know of a commit; `repository` is absent where there is no `.forge/repo.cue`."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)

    schema_version: SchemaVersion = SCHEMA_VERSION
    repository: RepositoryConfiguration | None = None
    projects: tuple[DiscoveredProject, ...] = ()
    phase_groups: tuple[PhaseGroup, ...] = ()
    release_enabled: bool = False
    release_projects: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def _missing(name: str) -> PublisherDefinition:
    raise KeyError(name)
