"""A configuration file together with what its evaluation gave."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forge_cue import Attribute, CueError, Position, format_path
from forge_sdk.models.discovery import Diagnostic
from pydantic import JsonValue

from forge_project.discovery.layout import ConfigurationFile
from forge_project.paths import Part, lookup


@dataclass
class Evaluated:
    """An evaluated file.

    `value` is what could be read: with `errors` only a part of it, perhaps nothing, and not checked by the schema; without errors
    it satisfies the schema.
    """

    file: ConfigurationFile
    value: Mapping[str, JsonValue] = field(default_factory=dict)
    errors: list[CueError] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    positions: Mapping[str, Position] = field(default_factory=dict)

    def at(self, *parts: Part) -> object:
        """The value at a path, `None` where there is none."""
        try:
            return lookup(dict(self.value), parts)
        except KeyError:
            return None

    def position(self, *parts: Part) -> Position:
        """Where a path is written; else the nearest field around it, else the begin of the file."""
        for length in range(len(parts), 0, -1):
            found = self.positions.get(format_path(parts[:length]))
            if found is not None:
                return found
        return Position(self.file.path, 1, 1)

    def names(self, *parts: Part) -> list[str]:
        """The names of the fields of the struct at a path, in the order of the source text."""
        struct = self.at(*parts)
        if not isinstance(struct, dict):
            return []
        if len(struct) == 1:
            return list(struct)
        order = {path: index for index, path in enumerate(self.positions)}
        return sorted(struct, key=lambda name: order.get(format_path([*parts, name]), len(order)))

    def problem(self, parts: tuple[Part, ...], message: str, *, kind: str, hint: str = "") -> Diagnostic:
        """A problem at a path of this file."""
        place = self.position(*parts)
        return self.problem_at(place, f"{format_path(parts)}: {message}", kind=kind, hint=hint, path=format_path(parts))

    def problem_at(self, place: Position, message: str, *, kind: str, hint: str = "", path: str = "") -> Diagnostic:
        """A problem at a place of this file."""
        return Diagnostic(
            message=message, file=place.file, line=place.line, column=place.column, path=path, kind=kind, hint=hint
        )
