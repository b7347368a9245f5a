"""Errors that only follow from others: what remains is what there is to correct."""

from collections.abc import Collection, Iterable, Sequence

from forge_cue import CueError
from forge_project.discovery.messages import SCHEMA_FILES, is_mismatch
from forge_project.paths import Part, path_parts

Path = tuple[Part, ...]
_OF_UNKNOWN_STRUCTS = frozenset({"not_allowed", "reference", "incomplete"})


def without_consequences(
    errors: Sequence[CueError], unknown: Collection[Path], by_attribute: Collection[str]
) -> list[CueError]:
    """The errors that would remain if the others were corrected.

    `unknown` are the paths of structs whose kind isn't known, `by_attribute` those of fields whose attribute gives the value, or is
    reported itself.
    """
    wrong_kind = {path_parts(error.path) for error in errors if error.path and is_mismatch(error)}
    return [
        error
        for error in errors
        if not _is_of_unknown(error, unknown)
        and not (error.kind == "incomplete" and error.path in by_attribute)
        and not _is_missing_below(error, wrong_kind)
        and not (_is_only_of_schema(error) and len(errors) > 1)
    ]


def _is_of_unknown(error: CueError, unknown: Collection[Path]) -> bool:
    """CUE has no fields for a struct of an unknown kind, and every field in it seems to be forbidden."""
    if error.message.startswith("required field missing") and path_parts(error.path) in unknown:
        return True
    return error.kind in _OF_UNKNOWN_STRUCTS and _is_below(error, unknown)


def _is_missing_below(error: CueError, wrong_kind: Collection[Path]) -> bool:
    return error.kind == "required" and _is_below(error, wrong_kind)


def _is_only_of_schema(error: CueError) -> bool:
    """An error at a definition of the schema: it has no place in the user's files, and CUE repeats it at the user's field."""
    return error.path.startswith("#") and all(place.file.startswith(SCHEMA_FILES) for place in error.positions[1:])


def _is_below(error: CueError, paths: Iterable[Path]) -> bool:
    known = set(paths)
    parts = path_parts(error.path)
    return any(parts[:length] in known for length in range(1, len(parts) + 1))
