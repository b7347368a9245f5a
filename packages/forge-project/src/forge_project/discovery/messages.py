"""Says CUE's messages in words that name what is needed and what was found."""

import re
from collections.abc import Iterator

from forge_cue import CueError
from forge_project.discovery.evaluated import Evaluated
from forge_project.discovery.wording import expected_text, found_text, is_constraint
from forge_project.paths import Part

SCHEMA_FILES = "forge:schema/"
_CONFLICT = "conflicting values "
_MISMATCH = re.compile(r" \(mismatched types (\S+) and (\S+)\)$")
_OUT_OF_BOUND = re.compile(r"invalid value (.+) \(out of bound (.+)\)", re.DOTALL)
_COMBINED = re.compile(r'cannot combine regular field "[^"]*" with (.+)', re.DOTALL)
_NO_FUNCTION = re.compile(r"cannot call non-function (\w+)\.(\w+) \(type _\|_\)")
_NO_PACKAGE = re.compile(r'builtin package "([^"]+)" undefined')
_LENGTHS = re.compile(r"incompatible list lengths \((\d+) and (\d+)\)")
_INCOMPLETE = re.compile(r"incomplete value (.+)", re.DOTALL)
_NO_ALTERNATIVE = "no alternative fits: "
_SECRET_FIELDS = frozenset({"credentials", "secrets"})


def readable(error: CueError, parts: tuple[Part, ...], evaluated: Evaluated) -> str:
    """The message of an error for the user whose file is `evaluated`; CUE's own where it says all there is."""
    secret = bool(_SECRET_FIELDS & set(parts)) and parts[-1] != "env"
    for rewrite in (_conflict, _no_alternative, _out_of_bound, _combined, _list_length, _incomplete):
        text = rewrite(error, parts, evaluated, secret)
        if text:
            return text
    if match := _NO_FUNCTION.fullmatch(error.message):
        return f"the package {match[1]} has no {match[2]}"
    if match := _NO_PACKAGE.fullmatch(error.message):
        return f"CUE has no package {match[1]!r}"
    return error.message


def is_mismatch(error: CueError) -> bool:
    """Whether a value is of another kind than the schema's, so that what stands below it can't be judged."""
    return _MISMATCH.search(error.message) is not None or _COMBINED.fullmatch(error.message) is not None


def unfit_choice(error: CueError) -> tuple[str, list[str]] | None:
    """The value that fits no alternative, and the alternatives; `None` where an error says something else."""
    if not error.message.startswith(_NO_ALTERNATIVE):
        return None
    pairs = [_values(branch) for branch in error.message.removeprefix(_NO_ALTERNATIVE).split("; ")]
    common = set.intersection(*(set(pair) for pair in pairs))
    if len(pairs) == 1 or len(common) != 1:
        return None
    value = common.pop()
    return value, sorted({one for pair in pairs for one in pair if one != value})


def _conflict(error: CueError, _: tuple[Part, ...], evaluated: Evaluated, secret: bool) -> str:
    if not error.message.startswith(_CONFLICT):
        return ""
    found = _expected_and_found(error, evaluated)
    if found is None:
        return ""
    expected, value = found
    kinds = _MISMATCH.search(error.message)
    needed = expected_text(expected, kinds.groups() if kinds else (), value)
    return f"{needed} is needed, not {found_text(value, secret=secret)}"


def _expected_and_found(error: CueError, evaluated: Evaluated) -> tuple[str, str] | None:
    """Which of the two conflicting values is a rule and which the user's; `None` where the user wrote both."""
    by_schema = any(place.file.startswith(SCHEMA_FILES) for place in error.positions)
    written = evaluated.text_at(error.positions[0]) if error.positions else ""
    for first, second in _splits(error.message):
        for value, other in ((first, second), (second, first)):
            if is_constraint(other) and not is_constraint(value):
                return other, value
            if by_schema and value[0] not in "{[" and written.startswith(value):
                return other, value
    return None


def _splits(message: str) -> Iterator[tuple[str, str]]:
    text = _MISMATCH.sub("", message.removeprefix(_CONFLICT))
    for match in re.finditer(" and ", text):
        first, second = text[: match.start()], text[match.end() :]
        if first and second:
            yield first, second


def _values(branch: str) -> tuple[str, ...]:
    return next(_splits(branch), ()) if branch.startswith(_CONFLICT) else ()


def _no_alternative(error: CueError, _: tuple[Part, ...], __: Evaluated, secret: bool) -> str:
    found = unfit_choice(error)
    if found is None:
        return ""
    value, alternatives = found
    return f"{found_text(value, secret=secret)} is none of {', '.join(alternatives)}"


def _out_of_bound(error: CueError, _: tuple[Part, ...], __: Evaluated, secret: bool) -> str:
    match = _OUT_OF_BOUND.fullmatch(error.message)
    if match is None:
        return ""
    value, bound = found_text(match[1], secret=secret), match[2]
    if bound.startswith("=~"):
        return f"{value} does not have the form that is needed"
    return f"{value} is out of range: {bound} is needed"


def _combined(error: CueError, _: tuple[Part, ...], __: Evaluated, secret: bool) -> str:
    match = _COMBINED.fullmatch(error.message)
    return f"a struct is needed, not {found_text(match[1], secret=secret)}" if match else ""


def _list_length(error: CueError, parts: tuple[Part, ...], evaluated: Evaluated, _: bool) -> str:
    match = _LENGTHS.fullmatch(error.message)
    written = evaluated.at(*parts)
    if match is None or not isinstance(written, list):
        return ""
    lengths = {int(one) for one in match.groups()} - {len(written)}
    return f"the list has {len(written)} items, needed: {lengths.pop()}" if lengths else ""


def _incomplete(error: CueError, _: tuple[Part, ...], __: Evaluated, ___: bool) -> str:
    match = _INCOMPLETE.fullmatch(error.message)
    if match is None:
        return ""
    return "no value is given" if _is_rule(match[1]) else f"no value is given, only {match[1]}"


def _is_rule(text: str) -> bool:
    """Whether a text is of the schema's rules, which say nothing to a reader."""
    return text == "_" or any(sign in text for sign in ("=~", "<=", ">="))
