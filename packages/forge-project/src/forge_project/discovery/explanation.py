"""Turns the evaluator's errors into diagnostics: where the user's mistake is, what there is, what may have been meant."""

import re
from collections.abc import Iterable

from forge_cue import CueError, Position, format_path
from forge_project.attributes import ARTIFACT, REPO
from forge_project.discovery.consequences import without_consequences
from forge_project.discovery.evaluated import Evaluated
from forge_project.discovery.hints import (
    attribute_hint,
    conflict_hint,
    format_hint,
    import_hint,
    reference_hint,
    syntax_hint,
)
from forge_project.discovery.messages import SCHEMA_FILES, is_mismatch, readable, unfit_choice
from forge_project.discovery.unknown import unknown_plugins
from forge_project.paths import Part, path_parts
from forge_project.problems import alternatives, did_you_mean, merged_repetitions
from forge_project.schema import RepositoryNames
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.plugins.manager import Plugins

_ATTRIBUTES = frozenset({ARTIFACT, REPO})
_MISSING = re.compile(r"required field missing: (.+)")
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
        by_attribute = {path for one in evaluated.attributes if one.name in _ATTRIBUTES for path in one.paths}
        errors = without_consequences(evaluated.errors, unknown, by_attribute)
        found = [self._explain(error, evaluated) for error in errors]
        return [*unknown.values(), *merged_repetitions(found)]

    def _explain(self, error: CueError, evaluated: Evaluated) -> Diagnostic:
        if match := _MISSING.fullmatch(error.message):
            path = format_path([*path_parts(error.path), match[1]])
            error = CueError("field is required but not present", path, error.positions, "required")
        parts = path_parts(error.path)
        special = self._undefined(error, parts, evaluated) if error.kind == "reference" else None
        if error.kind == "not_allowed":
            special = self._not_allowed(error, parts, evaluated)
        if special is not None:
            return special
        prefix = f"{error.path}: " if error.path else ""
        place = _place(error, evaluated, parts)
        message = prefix + readable(error, parts, evaluated)
        hint = _hint(error, parts, place, evaluated)
        return evaluated.problem_at(place, message, kind=error.kind, hint=hint, path=error.path)

    def _undefined(self, error: CueError, parts: tuple[Part, ...], evaluated: Evaluated) -> Diagnostic | None:
        """A name that the schema's map lacks, where the value itself could not be read or stands in a plugin's fields."""
        match = _UNDEFINED.fullmatch(error.message)
        others = error.positions[1:]
        if match is None or not others or any(not place.file.startswith(SCHEMA_FILES) for place in others):
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

    def _not_allowed(self, error: CueError, parts: tuple[Part, ...], evaluated: Evaluated) -> Diagnostic | None:
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
                message, hint = "field not allowed", _field_hint(name, error.allowed)
        place = evaluated.positions.get(format_path(parts)) or _place(error, evaluated, parts)
        return evaluated.problem_at(place, f"{error.path}: {message}", kind="not_allowed", hint=hint, path=error.path)


def _field_hint(name: str, allowed: Iterable[str]) -> str:
    known = list(allowed)
    return did_you_mean(name, known) or (alternatives(name, known, "fields") if known else "")


def _place(error: CueError, evaluated: Evaluated, parts: tuple[Part, ...]) -> Position:
    """The first place in a file of the user: the evaluator puts those first, but some errors have none."""
    of_user = (place for place in error.positions if not place.file.startswith(SCHEMA_FILES))
    return next(of_user, evaluated.position(*parts))


def _hint(error: CueError, parts: tuple[Part, ...], place: Position, evaluated: Evaluated) -> str:
    match error.kind:
        case "required":
            hint = f"add the field {str(parts[-1])!r}" if parts else "add the field"
        case "syntax":
            hint = syntax_hint(error, place, evaluated)
        case "reference":
            hint = reference_hint(error, place, evaluated)
        case "import":
            hint = import_hint(error)
        case "incomplete":
            hint = _open_hint(error, parts, evaluated)
        case _:
            hint = _value_hint(error, parts, place, evaluated)
    return hint


def _value_hint(error: CueError, parts: tuple[Part, ...], place: Position, evaluated: Evaluated) -> str:
    conflict = conflict_hint(error, place, evaluated)
    if "@" in conflict:
        return conflict
    form = format_hint(parts) if "=~" in error.message or is_mismatch(error) else ""
    return form or _choice_hint(error) or conflict


def _choice_hint(error: CueError) -> str:
    found = unfit_choice(error)
    if found is None:
        return ""
    value, choices = found
    return did_you_mean(value.strip('"'), [choice.strip('"') for choice in choices])


def _open_hint(error: CueError, parts: tuple[Part, ...], evaluated: Evaluated) -> str:
    if meant := attribute_hint(error.path, evaluated):
        return meant
    if parts[:1] != ("deployment",) and any(one.name == ARTIFACT for one in evaluated.attributes):
        return "if it comes from an @artifact: that has no value before the artifact is built"
    form = format_hint(parts) if "=~" in error.message else ""
    return form or "give it a concrete value"
