"""What a deployment would change: the objects of two releases, side by side."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

Document = Mapping[str, Any]
Change = Literal["deleted", "changed", "added"]
ORDER: tuple[Change, ...] = ("deleted", "changed", "added")


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What tells Kubernetes objects apart; a changed API version is a change of the same object."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that would be deleted, changed or added; `lines` are a unified difference of its YAML."""

    change: Change
    object: ObjectName
    lines: tuple[str, ...]


def compare(before: Iterable[Document], after: Iterable[Document]) -> list[Difference]:
    """The differences, deletions first, each kind by name."""
    old, new = _by_name(before), _by_name(after)
    found = [_difference(name, old.get(name), new.get(name)) for name in old.keys() | new.keys()]
    changes = [difference for difference in found if difference.lines]
    return sorted(changes, key=lambda found: (ORDER.index(found.change), str(found.object)))


def _by_name(documents: Iterable[Document]) -> dict[ObjectName, Document]:
    return {_name(document): document for document in documents}


def _name(document: Document) -> ObjectName:
    metadata = document.get("metadata")
    fields = metadata if isinstance(metadata, Mapping) else {}
    return ObjectName(str(document.get("kind", "")), str(fields.get("namespace", "")), str(fields.get("name", "")))


def _difference(name: ObjectName, old: Document | None, new: Document | None) -> Difference:
    change: Change = "added" if old is None else "deleted" if new is None else "changed"
    lines = list(difflib.unified_diff(_lines(old), _lines(new), lineterm="", n=3))
    return Difference(change, name, tuple(lines[2:]))


def _lines(document: Document | None) -> Sequence[str]:
    if document is None:
        return []
    return yaml.safe_dump(dict(document), sort_keys=True, allow_unicode=True, width=1000).splitlines()
