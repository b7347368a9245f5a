"""What the objects of a release allow whom in the cluster: roles and their bindings (rbac.authorization.k8s.io)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

GROUP = "rbac.authorization.k8s.io/"
ROLES, BINDINGS = {"Role", "ClusterRole"}, {"RoleBinding", "ClusterRoleBinding"}


def permissions(documents: Iterable[Mapping[str, Any]]) -> set[str]:
    """One line for each rule of a role and each subject of a binding."""
    return {line for document in documents for line in _lines(document)}


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    kind = str(document.get("kind", ""))
    if not str(document.get("apiVersion", "")).startswith(GROUP):
        return
    if kind in ROLES:
        for rule in _objects(document.get("rules")):
            yield f"{_name(document)} may {_rule(rule)}"
        if document.get("aggregationRule"):
            yield f"{_name(document)} takes on the rules of other roles: {document['aggregationRule']}"
    elif kind in BINDINGS:
        role = document.get("roleRef")
        granted = f"{role.get('kind')} {role.get('name')}" if isinstance(role, Mapping) else "an unnamed role"
        for subject in _objects(document.get("subjects")):
            yield f"{_subject(subject)} has {granted} by {_name(document)}"


def _rule(rule: Mapping[str, Any]) -> str:
    verbs = ", ".join(_strings(rule, "verbs"))
    if paths := _strings(rule, "nonResourceURLs"):
        return f"{verbs} {', '.join(paths)}"
    groups = ", ".join(group or "core" for group in _strings(rule, "apiGroups"))
    named = _strings(rule, "resourceNames")
    only = f" named {', '.join(named)}" if named else ""
    return f"{verbs} {', '.join(_strings(rule, 'resources'))} of {groups}{only}"


def _subject(subject: Mapping[str, Any]) -> str:
    place = f"{subject['namespace']}/" if subject.get("namespace") else ""
    return f"{subject.get('kind')} {place}{subject.get('name')}"


def _name(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    return _subject({"kind": document.get("kind"), **(metadata if isinstance(metadata, Mapping) else {})})


def _strings(rule: Mapping[str, Any], field: str) -> list[str]:
    values = rule.get(field)
    return sorted(map(str, values)) if isinstance(values, list) else []


def _objects(values: object) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []
