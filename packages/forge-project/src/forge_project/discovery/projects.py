"""The typed form of a project's configuration."""

from collections.abc import Mapping
from typing import Any

from forge_project.attributes.artifacts import KnownArtifact
from forge_project.discovery.evaluated import Evaluated
from forge_project.durations import seconds
from forge_project.paths import Part, path_parts
from forge_sdk.models.discovery import (
    ArtifactDefinition,
    ArtifactPublisher,
    DiscoveredProject,
    MatchedTrigger,
    ProjectPhase,
    ReleaseTrigger,
    StepDefinition,
    StepSecret,
)
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.secrets import SecretReference

_ARTIFACT_DEPTH = 2
_STEP_FIELDS = frozenset({"action", "priority", "timeout", "secrets"})


def discovered_project(project: Evaluated, triggers: tuple[MatchedTrigger, ...]) -> DiscoveredProject:
    """A project without errors, as the discovery document has it."""
    return DiscoveredProject(
        name=str(project.value["name"]),
        path=project.file.project_path,
        phases=tuple(_phase(project, name) for name in project.names("ci", "phases")),
        artifacts=artifacts(project),
        triggers=triggers,
        release_on=_release_triggers(project.at("release")),
        release_triggered=bool(triggers),
        deployment="deployment" in project.value,
    )


def _release_triggers(release: object) -> tuple[ReleaseTrigger, ...]:
    values = _struct(release)
    return tuple(ReleaseTrigger.model_validate(found) for found in values.get("on", ()) if values.get("enabled", True))


def artifacts(project: Evaluated) -> tuple[ArtifactDefinition, ...]:
    """The artifacts of a project without errors."""
    return tuple(_artifact(project, name) for name in project.names("artifacts"))


def known_artifacts(project: Evaluated) -> list[KnownArtifact]:
    """The artifacts of any project, also of one with errors."""
    if not project.errors:
        return [_known_artifact(project, name) for name in project.names("artifacts")]
    written = [path_parts(path) for path in project.positions if path.startswith("artifacts.")]
    names = dict.fromkeys([*project.names("artifacts"), *(str(path[1]) for path in written if _is_artifact(path))])
    return [_known_artifact(project, name) for name in names]


def _is_artifact(path: tuple[Part, ...]) -> bool:
    return len(path) == _ARTIFACT_DEPTH and path[0] == "artifacts"


def _known_artifact(project: Evaluated, name: str) -> KnownArtifact:
    path = ("artifacts", name)
    kind = project.at(*path, "type")
    if project.has_error_below(*path) or kind not in set(ArtifactType):
        return KnownArtifact(name, None)
    return KnownArtifact(name, ArtifactType(str(kind)), project.names(*path, "publishers"))


def waves(steps: list[StepDefinition]) -> tuple[tuple[StepDefinition, ...], ...]:
    """The steps by priority, the highest first; equal ones together, in the order in which they were given."""
    by_priority: dict[int, list[StepDefinition]] = {}
    for step in steps:
        by_priority.setdefault(step.priority, []).append(step)
    return tuple(tuple(by_priority[priority]) for priority in sorted(by_priority, reverse=True))


def _phase(project: Evaluated, name: str) -> ProjectPhase:
    path = ("ci", "phases", name)
    steps = [_step(step, _struct(project.at(*path, step))) for step in project.names(*path)]
    return ProjectPhase(name=name, waves=waves(steps))


def _step(name: str, values: Mapping[str, Any]) -> StepDefinition:
    timeout = values.get("timeout")
    return StepDefinition(
        name=name,
        action=values["action"],
        configuration={field: value for field, value in values.items() if field not in _STEP_FIELDS},
        priority=values.get("priority", 0),
        timeout_s=seconds(timeout) if timeout is not None else None,
        secrets=tuple(_secret(secret) for secret in values.get("secrets", ())),
    )


def _secret(values: Mapping[str, Any]) -> StepSecret:
    reference = {field: value for field, value in values.items() if field != "env"}
    return StepSecret(env=values["env"], reference=SecretReference.model_validate(reference))


def _artifact(project: Evaluated, name: str) -> ArtifactDefinition:
    values = _struct(project.at("artifacts", name))
    producer = next(iter(values["producer"]))
    return ArtifactDefinition(
        name=name,
        type=ArtifactType(values["type"]),
        producer=producer,
        configuration=values["producer"][producer],
        publishers=tuple(
            ArtifactPublisher(name=publisher, configuration=values["publishers"][publisher])
            for publisher in project.names("artifacts", name, "publishers")
        ),
    )


def _struct(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
