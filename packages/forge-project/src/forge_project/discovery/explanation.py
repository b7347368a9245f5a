"""Turns the evaluator's errors into diagnostics: where the user's mistake is, what there is, what may have been meant."""

import re
from collections.abc import Iterable

from forge_cue import CueError, Position
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.plugins.manager import Plugins

from forge_project.discovery.evaluated import Evaluated
from forge_project.discovery.fields import known_fields
from forge_project.discovery.unknown import unknown_plugins, without_consequences
from forge_project.paths import Part, PathError, split
from forge_project.problems import alternatives, did_you_mean
from forge_project.schema import RepositoryNames

_SCHEMA_FILES = "forge:schema/"
_UNDEFINED = re.compile(r"undefined field: \"?([^\"]+)\"?")
_NAME_HINT = (
    "names are letters and digits, with single dots, hyphens or underscores between them, at most 63 characters"
)


class Explainer:
    """Explains the errors of one repository's files."""

    def __init__(self, plugins: Plugins, names: RepositoryNames | None) -> None:
        """`names` are those that the repository's configuration defines; absent where they could not be read."""
        self._plugins = plugins
        self._names = names

    def problems(self, evaluated: Evaluated) -> list[Diagnostic]:
        """The diagnostics for all errors of a file."""
        unknown = unknown_plugins(evaluated, self._plugins)
        errors = without_consequences(evaluated.errors, unknown)
        return [*unknown.values(), *(self._explain(error, evaluated) for error in errors)]

    def _explain(self, error: CueError, evaluated: Evaluated) -> Diagnostic:
        parts = _parts(error.path)
        special = self._undefined(error, parts, evaluated) if error.kind == "reference" else None
        if error.kind == "not_allowed":
            special = self._not_allowed(parts, evaluated)
        if special is not None:
            return special
        prefix = f"{error.path}: " if error.path else ""
        place = _place(error, evaluated, parts)
        hint = _hint(error, parts)
        return evaluated.problem_at(place, prefix + error.message, kind=error.kind, hint=hint, path=error.path)

    def _undefined(self, error: CueError, parts: tuple[Part, ...], evaluated: Evaluated) -> Diagnostic | None:
        """A name that the schema's map lacks, where the value itself could not be read or stands in a plugin's fields."""
        match = _UNDEFINED.fullmatch(error.message)
        if match is None or any(not place.file.startswith(_SCHEMA_FILES) for place in error.positions[1:]):
            return None
        field, kind, installed = self._registry(parts)
        message = f"{kind} {match[1]!r} is not installed"
        hint = alternatives(match[1], installed, "installed")
        return evaluated.problem((*parts, field), message, kind="unknown", hint=hint)

    def _registry(self, parts: tuple[Part, ...]) -> tuple[str, str, Iterable[str]]:
        match parts:
            case ("ci", "phases", _, _):
                return "action", "action", self._plugins.step_actions
            case ("publishers", _):
                return "type", "publisher type", self._plugins.publishers
            case _:
                return "provider", "secret provider", self._plugins.secret_resolvers

    def _not_allowed(self, parts: tuple[Part, ...], evaluated: Evaluated) -> Diagnostic | None:
        if not parts or isinstance(parts[-1], int):
            return None
        name = parts[-1]
        match parts:
            case ("ci", "phases", _) if self._names is not None:
                message = f"phase {name!r} is not defined in .forge/repo.cue"
                hint = alternatives(name, self._names.phases, "defined")
            case ("artifacts", _, "publishers", _) if self._names is not None:
                message = f"publisher {name!r} is not defined in .forge/repo.cue"
                hint = alternatives(name, self._names.publishers, "defined")
            case ("artifacts", _, "producer", _):
                message = f"producer {name!r} is not installed"
                hint = alternatives(name, self._plugins.producers, "installed")
            case ("phases" | "publishers" | "artifacts", _) | ("ci", "phases", _) | ("ci", "phases", _, _):
                message, hint = f"{name!r} can't be a name", _NAME_HINT
            case _:
                message, hint = "field not allowed", self._field_hint(name, parts[:-1], evaluated)
        return evaluated.problem(parts, message, kind="not_allowed", hint=hint)

    def _field_hint(self, name: str, parent: tuple[Part, ...], evaluated: Evaluated) -> str:
        known = known_fields(parent, evaluated, self._plugins, self._names)
        return did_you_mean(name, known) or (alternatives(name, known, "fields") if known else "")


def _parts(path: str) -> tuple[Part, ...]:
    try:
        return split(path)
    except PathError:
        return ()


def _place(error: CueError, evaluated: Evaluated, parts: tuple[Part, ...]) -> Position:
    """The first place in a file of the user: the evaluator puts those first, but some errors have none."""
    of_user = (place for place in error.positions if not place.file.startswith(_SCHEMA_FILES))
    return next(of_user, evaluated.position(*parts))


def _hint(error: CueError, parts: tuple[Part, ...]) -> str:
    if error.kind == "required":
        return f"add the field {parts[-1]!r}" if parts else "add the field"
    if "=~" in error.message:
        return _format_hint(parts)
    return "give it a concrete value" if error.kind == "incomplete" else ""


def _format_hint(parts: tuple[Part, ...]) -> str:
    """What a text with a pattern of the platform's schema must look like."""
    hint = ""
    match parts:
        case ("phases", _, "timeout") | ("ci", "phases", _, _, "timeout"):
            hint = "write a duration such as 90s, 10m or 1h30m"
        case ("forgeVersion",):
            hint = 'write a version such as "v0.1.0"'
        case ("name",):
            hint = "letters, digits and hyphens, at most 63 characters, no hyphen at the ends"
        case ("ci", "phases", _, _, "secrets", _, "env"):
            hint = "write the name of an environment variable, such as API_TOKEN"
        case ("deployment", "resources", _, "apiVersion"):
            hint = 'write a version such as "v1" or "apps/v1"'
        case ("deployment", "resources", _, "kind"):
            hint = 'write a kind such as "Deployment"'
        case ("deployment", "resources", _, "metadata", _):
            hint = "letters, digits, dots and hyphens, beginning and ending with a letter or digit"
    return hint
