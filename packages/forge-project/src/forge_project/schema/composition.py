"""Puts the platform's schema and the plugins' structs together into one CUE package.

Every plugin's struct gets a file of its own, so that an error in it names the plugin. Kinds are chosen by looking up a map
(`#StepActions[action]`) and not by disjunctions of structs, whose errors hide the mistake that was made.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

from forge_sdk.plugins.manager import Plugins

IMPORT_PATH = "forge.projectcatalyst.io/schema/v1"
PACKAGE = "v1"
_REGISTRIES = ("#StepActions", "#Producers", "#PublisherTypes", "#PublisherFields", "#SecretProviders")


class _WithSchema(Protocol):
    @property
    def schema(self) -> str: ...


@dataclass(frozen=True)
class RepositoryNames:
    """What a repository's configuration defines for its projects: its phases, and its publishers with their types."""

    phases: frozenset[str] = frozenset()
    publishers: Mapping[str, str] = field(default_factory=dict)


def compose(plugins: Plugins, repository: RepositoryNames | None = None) -> dict[str, str]:
    """The files of the schema by path, of CUE package `v1`, closed over the installed plugins.

    With `repository`, projects may use its phases and publishers only; without it, any name passes and the fields of
    publishers are not checked.
    """
    files = dict(_platform_files())
    files["registries.cue"] = _file("".join(f"{name}: {{}}\n" for name in _REGISTRIES))
    for path, text in _plugin_files(plugins):
        files[path] = _file(text)
    files["names.cue"] = _file(_open_names() if repository is None else _closed_names(plugins, repository))
    return files


def composed_schema(plugins: Plugins) -> str:
    """The composed schema as one text, for people to read."""
    return "\n".join(f"// {path}\n{text}" for path, text in sorted(compose(plugins).items()))


@cache
def _platform_files() -> Mapping[str, str]:
    folder = Path(__file__).parent / PACKAGE
    return {file.name: file.read_text("utf-8") for file in folder.glob("*.cue")}


def _plugin_files(plugins: Plugins) -> Iterator[tuple[str, str]]:
    yield from _entries("actions", "#StepActions", _schemas(plugins.step_actions))
    yield from _entries("producers", "#Producers", _schemas(plugins.producers))
    yield from _entries("providers", "#SecretProviders", _schemas(plugins.secret_resolvers))
    publishers = sorted(plugins.publishers.items())
    yield from _entries("publishers", "#PublisherTypes", {name: each.repository_schema for name, each in publishers})
    yield from _entries("publications", "#PublisherFields", {name: each.project_schema for name, each in publishers})


def _schemas(plugins: Mapping[str, _WithSchema]) -> dict[str, str]:
    return {name: plugin.schema for name, plugin in sorted(plugins.items())}


def _entries(folder: str, registry: str, schemas: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, schema in schemas.items():
        yield f"{folder}/{name}.cue", f"{registry}: {_label(name)}: {schema}\n"


def _open_names() -> str:
    return "#CiPhases: [#Name]: #PhaseSteps\n#ArtifactPublishers: [#Name]: {...}\n"


def _closed_names(plugins: Plugins, repository: RepositoryNames) -> str:
    phases = "".join(f"\t{_label(name)}?: #PhaseSteps\n" for name in sorted(repository.phases))
    publishers = "".join(
        f"\t{_label(name)}?: {_publisher_fields(plugins, kind)}\n"
        for name, kind in sorted(repository.publishers.items())
    )
    return f"#CiPhases: {{\n{phases}}}\n#ArtifactPublishers: {{\n{publishers}}}\n"


def _publisher_fields(plugins: Plugins, kind: str) -> str:
    return f"#PublisherFields[{_label(kind)}]" if kind in plugins.publishers else "{...}"


def _label(name: str) -> str:
    # JSON's escapes are a subset of CUE's, so a JSON text is a CUE string.
    return json.dumps(name, ensure_ascii=False)


def _file(text: str) -> str:
    return f"package {PACKAGE}\n\n{text}"
