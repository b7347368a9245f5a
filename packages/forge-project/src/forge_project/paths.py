"""Paths of CUE values, such as `ci.phases.test."my-step".secrets[0]`, and paths written in attributes."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from forge_cue import format_path

Part = str | int
_DOT = "."
_MAX_KNOWN = 200
_TOKEN = re.compile(r"""\.|\[(\d{1,9})\]|"((?:[^"\\]|\\.)*)"|'([^']*)'|([^.\[\]"']+)""")


class PathError(ValueError):
    """A text that is no path."""


def split(text: str) -> tuple[Part, ...]:
    """The parts of a path: names of fields, which may stand in double or single quotes, and indices of lists.

    Raises `PathError` where `text` is no path.
    """
    parts: list[Part] = []
    tokens = list(_tokens(text))
    if not tokens or tokens[-1] == _DOT or (isinstance(tokens[0], str)):
        raise PathError(f"{text!r} is no path: write names separated by dots")
    for token, following in pairwise([*tokens, None]):
        if token == _DOT and following == _DOT:
            raise PathError(f"{text!r} has an empty name between two dots")
        if isinstance(token, tuple):
            if isinstance(following, tuple) and isinstance(following[0], str):
                raise PathError(f"{text!r}: a dot is missing before {following[0]!r}")
            parts.append(token[0])
    return tuple(parts)


def _tokens(text: str) -> Iterable["str | tuple[Part]"]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PathError(f"{text!r} is no path: {text[at]!r} at character {at + 1} can't stand there")
        at = match.end()
        yield _token(match)


def _token(match: re.Match[str]) -> "str | tuple[Part]":
    index, double, single, plain = match.groups()
    if index is not None:
        return (int(index),)
    if double is not None:
        return (_unescaped(double),)
    if single is not None:
        return (single,)
    return (plain.strip(),) if plain is not None else _DOT


def _unescaped(quoted: str) -> str:
    try:
        return str(json.loads(f'"{quoted}"', strict=False))
    except ValueError:
        return re.sub(r"\\(.)", r"\1", quoted)


def path_parts(text: str) -> tuple[Part, ...]:
    """The parts of a path that the evaluator gave; none where it is no path, such as that of the whole file."""
    return _known_parts(text) if len(text) <= _MAX_KNOWN else _parts_or_none(text)


def _parts_or_none(text: str) -> tuple[Part, ...]:
    try:
        return split(text)
    except PathError:
        return ()


# The same paths come up in every project.
_known_parts = lru_cache(maxsize=4096)(_parts_or_none)


def lookup(value: object, parts: Iterable[Part]) -> object:
    """What stands at a path in a JSON value; `KeyError` where nothing does."""
    for part in parts:
        try:
            value = _child(value, part)
        except IndexError:
            raise KeyError(part) from None
    return value


def _child(value: object, part: Part) -> object:
    if isinstance(value, dict) and isinstance(part, str):
        return value[part]
    if isinstance(value, list) and isinstance(part, int):
        return value[part]
    raise KeyError(part)


def available(value: object, parts: Iterable[Part]) -> list[str]:
    """The paths that exist where a path leaves a JSON value: those beside its first part that leads nowhere."""
    before: list[Part] = []
    for part in parts:
        try:
            value = lookup(value, [part])
        except KeyError:
            break
        before.append(part)
    if isinstance(value, dict):
        return [format_path([*before, name]) for name in sorted(value)]
    if isinstance(value, list):
        return [format_path([*before, at]) for at in range(len(value))]
    return [format_path(before)] if before else []
