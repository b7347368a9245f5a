"""Writes Kubernetes objects as YAML, with the same bytes for the same object."""

import re
from typing import Any

import yaml

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*")
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_BLOCK = re.compile(r"[^\s](?:[\t\x20-\x7e]*[\x21-\x7e])?(?:\n(?:[\t\x20-\x7e]*[\x21-\x7e])?)*\n?")
_MAX_PLAIN = 120


class _Dumper(yaml.SafeDumper):
    """Quotes every text that a reader of YAML 1.1 or 1.2 could take for anything else, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - of the base class
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - of the base class
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))


def _style(value: str) -> str | None:
    if len(value) <= _MAX_PLAIN and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return None
    if "\n" in value and not value.endswith("\n\n") and _BLOCK.fullmatch(value):
        return "|"
    return '"'


_Dumper.add_representer(str, _text)


def manifest(resource: dict[str, Any]) -> bytes:
    """One object as a YAML document: keys sorted, UTF-8."""
    text: str = yaml.dump(
        resource, Dumper=_Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True, width=float("inf")
    )
    return text.encode("utf-8")
