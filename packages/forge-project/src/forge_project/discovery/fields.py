"""The names of the fields that a struct of a configuration may have, for hints."""

from collections.abc import Mapping, Sequence

from forge_sdk.plugins.manager import Plugins
from pydantic import BaseModel

from forge_project.discovery.evaluated import Evaluated
from forge_project.paths import Part
from forge_project.schema import RepositoryNames

_PROJECT_STRUCTS: Mapping[tuple[Part, ...], Sequence[str]] = {
    (): ("name", "ci", "artifacts", "release", "deployment"),
    ("ci",): ("phases",),
    ("release",): ("on", "enabled"),
    ("deployment",): ("resources",),
}
_STEP = ("action", "priority", "timeout", "secrets")


def known_fields(
    parts: tuple[Part, ...], evaluated: Evaluated, plugins: Plugins, names: RepositoryNames | None
) -> list[str]:
    """The fields of the struct at a path; empty where they are not known."""
    if evaluated.file.package == "repo":
        return _repository_fields(parts, evaluated, plugins)
    return _project_fields(parts, evaluated, plugins, names)


def _repository_fields(parts: tuple[Part, ...], evaluated: Evaluated, plugins: Plugins) -> list[str]:
    match parts:
        case ():
            return ["forgeVersion", "tagging", "phases", "concurrency", "publishers"]
        case ("tagging",):
            return ["strategy"]
        case ("phases", _):
            return ["group", "description", "timeout", "required"]
        case ("publishers", str()):
            plugin = plugins.publishers.get(str(evaluated.at(*parts, "type")))
            return ["type", "credentials", *(_names(plugin.repository_configuration) if plugin else ())]
    return []


def _project_fields(
    parts: tuple[Part, ...], evaluated: Evaluated, plugins: Plugins, names: RepositoryNames | None
) -> list[str]:
    match parts:
        case ("ci", "phases", str(), str()):
            action = plugins.step_actions.get(str(evaluated.at(*parts, "action")))
            return [*_STEP, *(_names(action.configuration) if action else ())]
        case ("artifacts", str(), "producer", str(name)):
            producer = plugins.producers.get(name)
            return _names(producer.configuration) if producer else []
        case ("artifacts", str(), "publishers", str(name)):
            publisher = plugins.publishers.get(names.publishers.get(name, "")) if names else None
            return _names(publisher.project_configuration) if publisher else []
        case ("artifacts", str()):
            return ["type", "producer", "publishers"]
        case ("release", "on", int()):
            return ["branch", "tag"]
    return list(_PROJECT_STRUCTS.get(parts, ()))


def _names(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]
