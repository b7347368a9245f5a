"""Words for kinds and values of CUE."""

import re
from collections.abc import Sequence

_MAX_VALUE = 80
_KINDS = {
    "string": "a string",
    "int": "a whole number",
    "float": "a number",
    "number": "a number",
    "bool": "true or false",
    "bytes": "bytes",
    "struct": "a struct",
    "list": "a list",
    "null": "null",
}
_BY_FIRST_SIGN = {"{": "struct", "[": "list", '"': "string", "#": "string", "'": "bytes"}
_CONSTRAINT = re.compile(
    r"(?:string|int|float|number|bool|bytes|_)(?:\W.*)?|[<>=!].*|\[(?:\.\.\.|string\b).*|.*#.*|\{.*[!?]:.*", re.DOTALL
)


def is_constraint(text: str) -> bool:
    """Whether a value as CUE writes it is a type or a rule, and not concrete."""
    return text[:1] not in "\"'" and _CONSTRAINT.fullmatch(text) is not None


def expected_text(expected: str, kinds: Sequence[str], found: str) -> str:
    """What is needed: a concrete value itself, the kind of a rule."""
    if not is_constraint(expected):
        return _shortened(expected)
    wanted = [kind for kind in kinds if kind != _kind(found)]
    kind = wanted[0] if wanted else _kind(expected)
    names = [_KINDS.get(one, one) for one in kind.strip("()").split("|")]
    return " or ".join(names)


def found_text(value: str, *, secret: bool) -> str:
    """What was found: a scalar itself, the kind of anything that is longer or may be secret."""
    kind = _kind(value)
    if kind in {"list", "struct"} or secret:
        return _KINDS.get(kind, kind)
    return _shortened(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."


def _kind(text: str) -> str:
    if text in {"true", "false"}:
        return "bool"
    if text in _KINDS:
        return text
    return _BY_FIRST_SIGN.get(text[:1]) or _kind_of_number(text)


def _kind_of_number(text: str) -> str:
    if re.fullmatch(r"[+-]?\d+", text):
        return "int"
    return "float" if re.fullmatch(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?", text) else "string"
