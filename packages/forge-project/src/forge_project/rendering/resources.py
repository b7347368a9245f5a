"""Checks of the objects of a deployment, and the names of their files."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from forge_project.discovery.evaluated import Evaluated
from forge_project.rendering.kubernetes import schema_problems
from forge_sdk.models.discovery import Diagnostic

_MAX_FILE_NAME = 200
_UNSAFE = re.compile(r"[^a-z0-9.-]+")
_PATH = ("deployment", "resources")


def resources(project: Evaluated) -> list[dict[str, Any]]:
    """The objects of a project without errors."""
    found = project.at(*_PATH)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def resource_problems(project: Evaluated) -> list[Diagnostic]:
    """Everything that is wrong with the objects of a project without errors."""
    return [*_duplicates(project), *schema_problems(project, _PATH, resources(project))]


def _duplicates(project: Evaluated) -> Iterator[Diagnostic]:
    """Objects with the kind, name and namespace of an earlier one."""
    known: dict[tuple[str, str, str], int] = {}
    for index, resource in enumerate(resources(project)):
        key = identity(resource)
        first = known.setdefault(key, index)
        if first != index:
            kind, name, namespace = key
            place = project.position(*_PATH, first)
            where = f" in namespace {namespace!r}" if namespace else ""
            message = f"{kind} {name!r}{where} is already at {place.file}:{place.line}"
            yield project.problem((*_PATH, index), message, kind="duplicate", hint="remove one, or rename it")


def identity(resource: dict[str, Any]) -> tuple[str, str, str]:
    """Kind, name and namespace of an object."""
    metadata = resource["metadata"]
    return resource["kind"], metadata["name"], metadata.get("namespace", "")


def file_names(objects: Sequence[dict[str, Any]]) -> list[str]:
    """The name of each object's file: `<kind>-<name>.yaml` in lower case.

    Characters that don't belong into a file name become hyphens. Where that makes names equal or too long, they end in a digest of the
    object's identity; so a name does not depend on the order of the objects.
    """
    plain = [_plain_name(resource) for resource in objects]
    counted = Counter(plain)
    return [
        f"{name}.yaml" if counted[name] == 1 and len(name) <= _MAX_FILE_NAME else f"{_distinct(name, resource)}.yaml"
        for name, resource in zip(plain, objects, strict=True)
    ]


def _plain_name(resource: dict[str, Any]) -> str:
    kind, name, _ = identity(resource)
    return _UNSAFE.sub("-", f"{kind}-{name}".lower())


def _distinct(name: str, resource: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps([resource["apiVersion"], *identity(resource)]).encode()).hexdigest()
    return f"{name[:_MAX_FILE_NAME]}-{digest[:12]}"
