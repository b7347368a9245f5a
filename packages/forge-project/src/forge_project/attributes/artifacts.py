"""`@artifact("web.uri")`: a value of an artifact's outputs.

The structure that paths name: `<artifact>: {fields of the producer's output, uri, publishers: {<name>: outputs}}`. Before anything is built,
paths are checked against the models of outputs; at rendering against the outputs themselves.
"""

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, JsonValue

from forge_cue import Attribute, Fill
from forge_project.attributes import ARTIFACT
from forge_project.attributes.repository import Filling, attribute_problem
from forge_project.paths import Part, PathError, available, lookup, split
from forge_project.problems import alternatives
from forge_sdk.models.artifacts import OUTPUT_MODELS
from forge_sdk.models.discovery import Diagnostic, RepositoryConfiguration
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.plugins.manager import Plugins

_Level = dict[str, "_Level"] | None
_Model = type[BaseModel]
_FORM = 'write @artifact("name.uri")'


@dataclass(frozen=True)
class KnownArtifact:
    """An artifact as far as it could be read: `type` is absent where the artifact has errors, so that its outputs are unknown."""

    name: str
    type: ArtifactType | None
    publishers: Sequence[str] = ()


class ArtifactPaths:
    """What `@artifact` may name in one project."""

    def __init__(
        self, artifacts: Sequence[KnownArtifact], repository: RepositoryConfiguration, plugins: Plugins
    ) -> None:
        self._artifacts = {one.name: one for one in artifacts}
        self._types = {one.name: one.type for one in repository.publishers}
        self._plugins = plugins

    def problem(self, attribute: Attribute) -> Diagnostic | None:
        """Why the attribute can't be filled later, or `None`."""
        try:
            parts = artifact_path(attribute)
        except PathError as error:
            return attribute_problem(attribute, str(error), _FORM)
        name, *rest = parts
        artifact = self._artifacts.get(str(name))
        if artifact is None:
            hint = alternatives(str(name), self._artifacts, "artifacts")
            return attribute_problem(attribute, f"the project has no artifact {name!r}", hint)
        return self._unknown_output(attribute, artifact, rest)

    def _unknown_output(self, attribute: Attribute, artifact: KnownArtifact, rest: list[Part]) -> Diagnostic | None:
        level = self._fields(artifact, artifact.type) if artifact.type is not None else None
        message = f"artifact {artifact.name!r} of type {artifact.type} has no"
        for depth, part in enumerate(rest):
            if level is None or isinstance(part, int):
                return None
            if part not in level:
                prefix = ".".join(map(str, [artifact.name, *rest[:depth]]))
                hint = alternatives(part, level, f"available in {prefix}")
                return attribute_problem(attribute, f"{message} {'.'.join(map(str, rest))}", hint)
            level = level[part]
        return None

    def _fields(self, artifact: KnownArtifact, kind: ArtifactType) -> dict[str, "_Level"]:
        level: dict[str, _Level] = dict.fromkeys(producer_fields(kind))
        level["publishers"] = {name: self._outputs(name) for name in artifact.publishers}
        if artifact.publishers:
            level["uri"] = None
        return level

    def _outputs(self, publisher: str) -> "_Level":
        plugin = self._plugins.publishers.get(self._types.get(publisher, ""))
        return None if plugin is None else dict.fromkeys(["uri", *plugin.outputs.model_fields])


def artifact_filling(attributes: Sequence[Attribute], artifacts: Mapping[str, Mapping[str, JsonValue]]) -> Filling:
    """What the `@artifact` attributes among `attributes` stand for, given the outputs of each artifact."""
    filling = Filling()
    outputs = {name: dict(values) for name, values in artifacts.items()}
    for attribute in attributes:
        if attribute.name != ARTIFACT:
            continue
        try:
            parts = artifact_path(attribute)
            filling.fills.append(Fill(ARTIFACT, attribute.body, lookup(outputs, parts)))
        except PathError as error:
            filling.problems.append(attribute_problem(attribute, str(error), _FORM))
        except KeyError:
            path = attribute.arguments[0]
            hint = alternatives(path, available(outputs, artifact_path(attribute)), "available")
            filling.problems.append(attribute_problem(attribute, f"there is no output {path}", hint))
    return filling


def artifact_path(attribute: Attribute) -> tuple[Part, ...]:
    """The path that an `@artifact` attribute names, the artifact's name first; `PathError` where it names none."""
    if len(attribute.arguments) != 1 or attribute.named:
        raise PathError("exactly one argument is needed")
    return split(attribute.arguments[0])


def producer_fields(artifact_type: ArtifactType) -> list[str]:
    """The fields of a producer's output that paths may name: those of the first file, and `files`."""
    model: _Model = OUTPUT_MODELS[artifact_type]
    files = model.model_fields.get("files")
    if files is None:
        return [name for name in model.model_fields if name != "location_type"]
    file: _Model = typing.get_args(files.annotation)[0]
    return [*(name for name in file.model_fields if name != "path"), "files"]
