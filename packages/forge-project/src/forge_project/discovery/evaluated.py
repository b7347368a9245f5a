"""A configuration file together with what its evaluation gave."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import JsonValue

from forge_cue import Attribute, CueError, Position, format_path
from forge_project.discovery.layout import ConfigurationFile
from forge_project.paths import Part, lookup, path_parts
from forge_sdk.models.discovery import Diagnostic


@dataclass
class Evaluated:
    """An evaluated file.

    `value` is what could be read: with `errors` (also such as are left out here, since an output fills the field later) a part of it,
    perhaps nothing, and not checked by the schema; without them it satisfies the schema.
    """

    file: ConfigurationFile
    value: Mapping[str, JsonValue] = field(default_factory=dict)
    errors: list[CueError] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    positions: Mapping[str, Position] = field(default_factory=dict)

    def at(self, *parts: Part) -> object:
        """The value at a path, `None` where there is none."""
        try:
            return lookup(self.value, parts)
        except KeyError:
            return None

    def position(self, *parts: Part) -> Position:
        """Where a path is written; else the nearest field around it, else the begin of the file."""
        for length in range(len(parts), 0, -1):
            found = self.positions.get(format_path(parts[:length]))
            if found is not None:
                return found
        return Position(self.file.path, 1, 1)

    def has_error_below(self, *parts: Part) -> bool:
        """Whether an error stands at a path or below it, so that the value there is not whole."""
        return any(path_parts(error.path)[: len(parts)] == parts for error in self.errors)

    def line(self, place: Position) -> str:
        """The line of the file's text at a place."""
        lines = self.file.text.removeprefix("\ufeff").split("\n", place.line)
        return lines[place.line - 1] if place.file == self.file.path and place.line <= len(lines) else ""

    def text_at(self, place: Position) -> str:
        """The rest of the line at a place."""
        return self.line(place)[place.column - 1 :]

    def names(self, *parts: Part) -> list[str]:
        """The names of the fields of the struct at a path, in the order of the source text."""
        struct = self.at(*parts)
        if not isinstance(struct, dict):
            return []
        if len(struct) == 1:
            return list(struct)
        order = self._order
        return sorted(struct, key=lambda name: order.get(format_path([*parts, name]), len(order)))

    @cached_property
    def _order(self) -> Mapping[str, int]:
        return {path: index for index, path in enumerate(self.positions)}

    def problem(self, parts: tuple[Part, ...], message: str, *, kind: str, hint: str = "") -> Diagnostic:
        """A problem at a path of this file."""
        place = self.position(*parts)
        return self.problem_at(place, f"{format_path(parts)}: {message}", kind=kind, hint=hint, path=format_path(parts))

    def problem_at(self, place: Position, message: str, *, kind: str, hint: str = "", path: str = "") -> Diagnostic:
        """A problem at a place of this file."""
        return Diagnostic(
            message=message, file=place.file, line=place.line, column=place.column, path=path, kind=kind, hint=hint
        )
