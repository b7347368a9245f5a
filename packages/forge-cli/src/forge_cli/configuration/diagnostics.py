"""Shows problems as a compiler does: place, message, the line itself with a mark below it, and a hint."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import click

from forge_cli.configuration.snapshot import Snapshot
from forge_sdk.models.discovery import Diagnostic

Severity = Literal["error", "warning"]
COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow"}
MAX_WIDTH = 160
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[@#]?[\w$-]+|.')


def show(lines: Iterable[str], *, err: bool = False) -> None:
    """Prints lines; colours remain on terminals only, and nowhere where `$NO_COLOR` is set."""
    for line in lines:
        click.echo(line, err=err, color=False if os.environ.get("NO_COLOR") else None)


class Reporter:
    """Formats the problems of one snapshot; files are named relative to the folder `here`."""

    def __init__(self, snapshot: Snapshot, here: Path | None = None) -> None:
        self._snapshot = snapshot
        self._here = here or Path.cwd()
        self._lines: dict[str, list[str]] = {}

    def lines(self, diagnostics: Iterable[Diagnostic], severity: Severity = "error") -> Iterator[str]:
        """The lines to print for `diagnostics`, in their order."""
        for diagnostic in diagnostics:
            yield self._head(diagnostic, severity)
            yield from self._excerpt(diagnostic)
            if diagnostic.hint:
                yield f"  {click.style('hint:', fg='cyan')} {printable(diagnostic.hint)}"

    def path(self, file: str) -> str:
        """A file of the repository as it can be opened from `here`."""
        return os.path.relpath(self._snapshot.root / file, self._here)

    def _head(self, diagnostic: Diagnostic, severity: Severity) -> str:
        label = click.style(f"{severity}:", fg=COLOURS[severity], bold=True)
        if not diagnostic.file:
            return f"{label} {printable(diagnostic.message)}"
        place = f"{printable(self.path(diagnostic.file))}:{diagnostic.line}:{diagnostic.column}:"
        return f"{click.style(place, bold=True)} {label} {printable(diagnostic.message)}"

    def _excerpt(self, diagnostic: Diagnostic) -> Iterator[str]:
        lines = self._source(diagnostic.file)
        if not 1 <= diagnostic.line <= len(lines):
            return
        line, at = lines[diagnostic.line - 1], max(diagnostic.column - 1, 0)
        first = max(0, at - MAX_WIDTH // 2) if len(line) > MAX_WIDTH else 0
        shown = line[first : first + MAX_WIDTH]
        before = _padding(shown[: at - first])
        token = _TOKEN.match(shown, at - first)
        mark = "^" + "~" * ((_width(token[0]) if token else 1) - 1)
        yield f"    {_escaped(shown)}".rstrip()
        yield f"    {before}{click.style(mark, fg='green', bold=True)}"

    def _source(self, file: str) -> list[str]:
        if file not in self._lines:
            text = self._snapshot.contents.get(file, b"").decode("utf-8-sig", "replace")
            self._lines[file] = [line.removesuffix("\r") for line in text.split("\n")] if text else []
        return self._lines[file]


def printable(text: str) -> str:
    """`text` without characters that would steer a terminal: they are shown as escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _escaped(line: str) -> str:
    return "\t".join(printable(part) for part in line.split("\t"))


def _padding(before: str) -> str:
    return "".join("\t" if one == "\t" else " " * _width(one) for one in before)


def _width(text: str) -> int:
    return sum(_columns(one) for one in printable(text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
