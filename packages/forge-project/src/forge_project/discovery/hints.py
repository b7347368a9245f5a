"""Hints: what may have been meant, what a value must look like, how CUE wants something written."""

import re
from collections.abc import Mapping
from functools import lru_cache

from forge_cue import CueError, Position
from forge_project.discovery.evaluated import Evaluated
from forge_project.paths import Part
from forge_project.problems import did_you_mean

_PACKAGES: Mapping[str, str] = {
    "base64": "encoding/base64", "csv": "encoding/csv", "hex": "encoding/hex", "json": "encoding/json", "list": "list",
    "math": "math", "net": "net", "path": "path", "regexp": "regexp", "sha256": "crypto/sha256", "strconv": "strconv",
    "strings": "strings", "struct": "struct", "template": "text/template", "time": "time", "yaml": "encoding/yaml",
}  # fmt: skip
_MAX_DECLARED = 300
_REFERENCE = re.compile(r'reference "([^"]+)" not found')
_NO_PACKAGE = re.compile(r'builtin package "([^"]+)" undefined')
_DECLARED = re.compile(r'(?:^|[\s{,])(?:let\s+|for\s+)?"?([A-Za-z_#$][\w#$]*)"?\s*(?:[?!]?:|=|\s+in\b)')
_ATTRIBUTE = re.compile(r"@\w+\([^)]*\)")
_SYNTAX: Mapping[str, str] = {
    "string literal not terminated": "end the text with the quote that it begins with",
    "unknown escape sequence": r'write the backslash twice, or the whole text as #"..."#',
    "missing ',' in list literal": "items of a list are separated by commas",
    "missing ',' in struct literal": "fields stand on lines of their own, or are separated by commas",
}


def format_hint(parts: tuple[Part, ...]) -> str:
    """What a text with a pattern of the platform's schema must look like."""
    hint = ""
    match parts:
        case ("phases", _, "timeout") | ("ci", "phases", _, _, "timeout"):
            hint = 'write a duration such as "90s", "10m" or "1h30m"'
        case ("forgeVersion",):
            hint = 'write a version such as "v0.1.0"'
        case ("name",):
            hint = "letters, digits and hyphens, at most 63 characters, no hyphen at the ends"
        case ("ci", "phases", _, _, "secrets", _, "env"):
            hint = "write the name of an environment variable, such as API_TOKEN"
        case ("deployment", "resources", _, "apiVersion"):
            hint = 'write a version such as "v1" or "apps/v1"'
        case ("deployment", "resources", _, "kind"):
            hint = 'write a kind such as "Deployment"'
        case ("deployment", "resources", _, "metadata", _):
            hint = "letters, digits, dots and hyphens, beginning and ending with a letter or digit"
        case ("release", "on", _, "tag"):
            hint = "a project is released by any of its tags: write tag: true, or leave it out"
    return hint


def reference_hint(error: CueError, place: Position, evaluated: Evaluated) -> str:
    """What an unknown name may mean: a package that isn't imported, a name that is written otherwise, a text without quotes."""
    match = _REFERENCE.fullmatch(error.message)
    if match is None:
        return ""
    name = match[1]
    if name in _PACKAGES and evaluated.text_at(place).startswith(f"{name}."):
        return f'add import "{_PACKAGES[name]}" below the package clause'
    declared = _declared_names(evaluated.file.text) - {name}
    quoted = f'a text stands in quotes: "{name}"'
    return f"{did_you_mean(name, declared)} {quoted}".lstrip()


@lru_cache(maxsize=8)
def _declared_names(text: str) -> frozenset[str]:
    names: set[str] = set(_DECLARED.findall(text))
    return frozenset(names if len(names) <= _MAX_DECLARED else ())


def import_hint(error: CueError) -> str:
    """Which standard package an unknown one may be, and what to do with one that isn't used."""
    if match := _NO_PACKAGE.fullmatch(error.message):
        return did_you_mean(match[1], _PACKAGES.values())
    return "remove the import" if error.message.startswith("imported and not used") else ""


def syntax_hint(error: CueError, place: Position, evaluated: Evaluated) -> str:
    """What a syntax error often comes from."""
    if re.search(r"^<<<<<<< ", evaluated.file.text, re.MULTILINE):
        return "the file holds the marks of a merge conflict: resolve it"
    line = evaluated.line(place)
    if line.lstrip().startswith("- "):
        return "a list is written [a, b]"
    if line.lstrip().startswith("import "):
        return "imports stand right below the package clause"
    if line.startswith("package "):
        return "the package clause stands once, at the top"
    if error.message == "missing ',' in list literal" and evaluated.text_at(place).startswith("@"):
        return "attributes stand on fields only, not on items of a list"
    return _SYNTAX.get(error.message, "")


def conflict_hint(error: CueError, place: Position, evaluated: Evaluated) -> str:
    """Where the other one of two conflicting values of the user stands, or which attribute gave it."""
    others = [one for one in error.positions if one != place and one.file == place.file]
    for one in others:
        if match := _ATTRIBUTE.match(evaluated.text_at(one)):
            return f"one value comes from {match[0]}"
    return f"the other one is at {others[0]}" if others else ""


def attribute_hint(parts_text: str, evaluated: Evaluated) -> str:
    """Which attribute may have been meant by one on an open field that nothing knows."""
    for one in evaluated.attributes:
        if parts_text in one.paths and one.name not in {"artifact", "repo"}:
            suggestion = did_you_mean(one.name, ["artifact", "repo"])
            return suggestion.replace("'", "@", 1).replace("'", "") if suggestion else ""
    return ""
