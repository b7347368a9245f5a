"""Checks objects of Kubernetes' own kinds against the schemas that the package `kubernetes-validate` carries.

The strict schemas of the newest version in the package are used, which refuse unknown fields. Objects of other kinds (custom
resources) have no schema there and pass.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

from forge_project.discovery.evaluated import Evaluated
from forge_project.paths import Part
from forge_project.problems import alternatives, did_you_mean
from forge_sdk.models.discovery import Diagnostic

_BUILT_IN_GROUP = re.compile(r"[^.]*|.*\.k8s\.io")
_MAX_PROBLEMS_OF_ONE = 50
_MAX_SHOWN = 80
_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a struct",
    "string": "a string",
}


def schema_problems(
    project: Evaluated, path: tuple[Part, ...], objects: Sequence[dict[str, Any]]
) -> Iterator[Diagnostic]:
    """What the schemas of Kubernetes say against `objects`, the list at `path` of a project."""
    for index, resource in enumerate(objects):
        validator = _validator(resource["apiVersion"], resource["kind"])
        if validator is None:
            continue
        name = f"{resource['kind']} {resource['metadata']['name']!r} ({resource['apiVersion']})"
        found = (one for error in validator.iter_errors(resource) for one in _messages(error))
        for _, (below, message, hint) in zip(range(_MAX_PROBLEMS_OF_ONE), found, strict=False):
            yield project.problem((*path, index, *below), f"{message}, in {name}", kind="kubernetes", hint=hint)


@lru_cache(maxsize=256)
def _validator(api_version: str, kind: str) -> Any:
    """The validator of a kind of Kubernetes itself; `None` for any other."""
    group, _, version = api_version.rpartition("/")
    if _BUILT_IN_GROUP.fullmatch(group) is None:
        return None
    name = "-".join(part for part in (kind.lower(), group.partition(".")[0], version) if part)
    schema = _schema(name)
    if schema is None or not _is_of(schema, group, version):
        return None
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema, registry=_registry())


def _is_of(schema: dict[str, Any], group: str, version: str) -> bool:
    known = schema.get("x-kubernetes-group-version-kind", ())
    return any(one.get("group", "") == group and one.get("version") == version for one in known)


def _schema(name: str) -> dict[str, Any] | None:
    from kubernetes_validate.utils import schema_contents

    try:
        schema: dict[str, Any] = schema_contents(f"{_folder()}/{name}.json", "")
    except FileNotFoundError:
        return None
    return schema


@cache
def _folder() -> str:
    from kubernetes_validate.utils import latest_version

    return f"kubernetes-json-schema/v{latest_version()}-local-strict"


@cache
def _registry() -> Any:
    from referencing import Registry, Resource

    definitions = _schema("_definitions")
    return Resource.from_contents(definitions) @ Registry()


def _messages(error: Any) -> Iterator[tuple[tuple[Part, ...], str, str]]:
    """Where in the object a problem is, the problem, and a hint."""
    path = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {})
            for name in sorted(set(error.instance) - set(known)):
                yield (*path, name), "unknown field", did_you_mean(name, known) or alternatives(name, known, "fields")
        case "required":
            for name in sorted(set(map(str, error.validator_value)) - set(error.instance)):
                yield (*path, name), "field is required but not present", f"add the field {name!r}"
        case "type":
            yield path, f"{_needed(_kinds(error.validator_value))} is needed, not {_shown(error.instance)}", ""
        case "enum":
            choices = [str(one) for one in error.validator_value if one is not None]
            hint = did_you_mean(str(error.instance), choices)
            yield path, f"{_shown(error.instance)} is none of {', '.join(choices)}", hint
        case "oneOf" | "anyOf":
            kinds = [kind for one in error.validator_value for kind in _kinds(one.get("type", ()))]
            yield path, f"{_needed(kinds)} is needed, not {_shown(error.instance)}", ""
        case _:
            yield path, f"{_shown(error.instance)} does not satisfy {error.validator} {error.validator_value}", ""


def _kinds(written: Any) -> list[str]:
    return [written] if isinstance(written, str) else list(written)


def _needed(kinds: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(_TYPES.get(kind, kind) for kind in kinds if kind != "null")) or "another value"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a struct"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
