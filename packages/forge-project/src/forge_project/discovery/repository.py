"""The repository's configuration: version gate, names, and the typed form."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from forge_project.discovery.evaluated import Evaluated
from forge_project.discovery.versions import Version
from forge_project.durations import seconds
from forge_project.problems import configuration_error
from forge_project.schema import RepositoryNames
from forge_sdk.errors import ErrorCode
from forge_sdk.models.discovery import (
    Diagnostic,
    PhaseDefinition,
    PhaseGroup,
    PublisherDefinition,
    RepositoryConfiguration,
)
from forge_sdk.secrets import SecretReference

_PUBLISHER_FIELDS = frozenset({"type", "credentials"})
_PHASE_DEFAULTS: Mapping[str, JsonValue] = {"timeout": "30m", "description": "", "required": False}


def check_version(repository: Evaluated, platform_version: str) -> list[Diagnostic]:
    """Warnings about the version that a configuration was written for.

    Raises `ConfigurationError` with code `version_unsupported` for another major version than the platform's.
    """
    text = repository.at("forgeVersion")
    try:
        written = Version.parse(text) if isinstance(text, str) else None
    except ValueError:
        written = None  # the schema reports it
    if written is None:
        return []
    platform = Version.parse(platform_version)
    if written.major != platform.major:
        message = f"{text} is another major version than the platform's {platform_version}"
        hint = f"set it to a version v{platform.major}.x.y, or use a platform of version v{written.major}"
        problem = repository.problem(("forgeVersion",), message, kind="version", hint=hint)
        raise configuration_error([problem], code=ErrorCode.VERSION_UNSUPPORTED)
    if written.minor > platform.minor:
        message = f"{text} is newer than the platform's {platform_version}"
        hint = "what is new in it is unknown here"
        return [repository.problem(("forgeVersion",), message, kind="version", hint=hint)]
    return []


def repository_values(repository: Evaluated) -> dict[str, JsonValue]:
    """The configuration with the defaults that were not written, which `@repo` takes values from."""
    values = dict(repository.value)
    phases = values.get("phases")
    if isinstance(phases, dict):
        values["phases"] = {
            name: {**_PHASE_DEFAULTS, **phase} if isinstance(phase, dict) else phase for name, phase in phases.items()
        }
    return values


def repository_names(repository: Evaluated) -> RepositoryNames:
    """The phases and publishers that are defined."""
    types = {name: str(repository.at("publishers", name, "type")) for name in repository.names("publishers")}
    return RepositoryNames(phases=frozenset(repository.names("phases")), publishers=types)


def repository_configuration(repository: Evaluated) -> RepositoryConfiguration:
    """The typed form of a configuration without errors."""
    values: dict[str, Any] = repository_values(repository)
    phases = values.get("phases", {})
    publishers = values.get("publishers", {})
    return RepositoryConfiguration(
        forge_version=values["forgeVersion"],
        tagging_strategy=values["tagging"]["strategy"],
        concurrency=values.get("concurrency"),
        phases=tuple(_phase(name, phases[name]) for name in repository.names("phases")),
        publishers=tuple(_publisher(name, publishers[name]) for name in repository.names("publishers")),
    )


def phase_groups(repository: RepositoryConfiguration) -> tuple[PhaseGroup, ...]:
    """The phases by group, lower groups first."""
    groups: dict[int, list[str]] = {}
    for phase in repository.phases:
        groups.setdefault(phase.group, []).append(phase.name)
    return tuple(PhaseGroup(group=group, phases=tuple(groups[group])) for group in sorted(groups))


def _phase(name: str, values: dict[str, Any]) -> PhaseDefinition:
    return PhaseDefinition(
        name=name,
        group=values["group"],
        description=values["description"],
        timeout_s=seconds(values["timeout"]),
        required=values["required"],
    )


def _publisher(name: str, values: dict[str, Any]) -> PublisherDefinition:
    credentials = values.get("credentials")
    return PublisherDefinition(
        name=name,
        type=values["type"],
        configuration={field: value for field, value in values.items() if field not in _PUBLISHER_FIELDS},
        credentials=SecretReference.model_validate(credentials) if credentials is not None else None,
    )
