"""`@repo(path="phases.test.timeout")`: a value of the repository's configuration."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from forge_cue import Attribute, Fill, format_path
from forge_project.attributes import REPO
from forge_project.paths import Part, PathError, available, lookup, split
from forge_project.problems import alternatives, did_you_mean
from forge_sdk.models.discovery import Diagnostic

_WRITTEN = re.compile(r'@repo\(path="([^"\\\n]{1,500})"\)')


@dataclass
class Filling:
    """Values for attributes, and what is wrong with those that have none; `unfilled` counts these."""

    fills: list[Fill] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    unfilled: int = 0


def repository_filling(attributes: Sequence[Attribute], repository: Mapping[str, JsonValue] | None) -> Filling:
    """What the `@repo` attributes among `attributes` stand for; without `repository`, which has errors then, none is filled."""
    filling = Filling()
    for attribute in attributes:
        if attribute.name != REPO:
            continue
        if repository is None:
            filling.unfilled += 1
            continue
        try:
            value = _value(attribute, dict(repository))
        except _UnfitAttributeError as error:
            filling.unfilled += 1
            filling.problems.append(attribute_problem(attribute, str(error), error.hint))
        else:
            filling.fills.append(Fill(REPO, attribute.body, value))
    return filling


def predicted_fills(text: str, repository: Mapping[str, JsonValue] | None) -> dict[str, Fill]:
    """Values for what looks like a `@repo` attribute in a file's text, by path.

    Saves an evaluation whose only use is to find the attributes; a value that belongs to none does no harm.
    """
    fills: dict[str, Fill] = {}
    for path in set(_WRITTEN.findall(text)) if repository is not None else ():
        try:
            value = lookup(dict(repository or {}), split(path))
        except (PathError, KeyError):
            continue  # reported where the attribute itself is found
        fills[path] = Fill(REPO, f'path="{path}"', value)
    return fills


def attribute_problem(attribute: Attribute, message: str, hint: str = "") -> Diagnostic:
    """A problem at the place where an attribute is written."""
    return Diagnostic(
        message=f"@{attribute.name}: {message}",
        file=attribute.position.file,
        line=attribute.position.line,
        column=attribute.position.column,
        path=attribute.path or "",
        kind="attribute",
        hint=hint,
    )


class _UnfitAttributeError(ValueError):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _value(attribute: Attribute, repository: dict[str, JsonValue]) -> object:
    text = attribute.named.get("path")
    if text is None or attribute.arguments or len(attribute.named) > 1:
        raise _UnfitAttributeError("exactly one argument is needed", 'write @repo(path="phases.test.timeout")')
    try:
        parts = split(text)
    except PathError as error:
        raise _UnfitAttributeError(str(error), 'write @repo(path="phases.test.timeout")') from error
    try:
        return lookup(repository, parts)
    except KeyError as error:
        hint = _suggestion(repository, parts)
        raise _UnfitAttributeError(f"the repository's configuration has no {text}", hint) from error


def _suggestion(repository: dict[str, JsonValue], parts: tuple[Part, ...]) -> str:
    """What there is where the path leads nowhere; the whole path that may have been meant, where the rest of it fits."""
    known = available(repository, parts)
    depth = len(split(known[0])) if known else 0
    whole = [format_path([*split(one), *parts[depth:]]) for one in known]
    fitting = [one for one in whole if _leads_somewhere(repository, one)]
    meant = did_you_mean(format_path(parts), fitting) or did_you_mean(format_path(parts[:depth]), known)
    return " ".join(part for part in (meant, alternatives("", known, "available")) if part)


def _leads_somewhere(repository: dict[str, JsonValue], path: str) -> bool:
    try:
        lookup(repository, split(path))
    except KeyError:
        return False
    return True
