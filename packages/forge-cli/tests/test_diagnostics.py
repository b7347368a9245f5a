from pathlib import Path

import pytest

from forge_cli.configuration.diagnostics import MAX_WIDTH, Reporter, printable, show
from forge_cli.configuration.snapshot import Snapshot
from forge_sdk.models.discovery import Diagnostic


def excerpt(text: str, line: int, column: int) -> list[str]:
    """The source line and the mark, without colours."""
    import click

    reporter = Reporter(Snapshot(Path("/r"), {"a.cue": text.encode()}), Path("/r"))
    problem = Diagnostic(message="wrong", file="a.cue", line=line, column=column)
    return [click.unstyle(one) for one in reporter.lines([problem])][1:]


@pytest.mark.parametrize(
    ("text", "column", "shown"),
    [
        ('a: "b"', 4, ['    a: "b"', "       ^~~"]),
        ("\ta: b", 5, ["    \ta: b", "    \t   ^"]),
        ("名前: 1", 5, ["    名前: 1", "          ^"]),
        ("a: 1\r", 1, ["    a: 1", "    ^"]),
        ("\ufeffa: 1", 1, ["    a: 1", "    ^"]),
        ("a:", 9, ["    a:", "      ^"]),
    ],
)
def test_the_mark_is_below_the_place(text, column, shown):
    assert excerpt(text, 1, column) == shown


def test_long_lines_are_cut_around_the_place():
    line, mark = excerpt("x" * 5000 + " y " + "z" * 5000, 1, 5002)
    assert len(line) <= MAX_WIDTH + 4
    assert line[mark.index("^")] == "y"


def test_a_place_outside_of_the_file_has_no_excerpt():
    assert excerpt("a: 1", 7, 1) == []


def test_characters_that_steer_a_terminal_are_escaped():
    line, mark = excerpt("a: \x1b[31m b", 1, 10)
    assert line == "    a: \\x1b[31m b"
    assert mark.index("^") == line.index(" b") + 1
    assert printable("a\x1b\n\u202eb") == "a\\x1b\\n\\u202eb"


def test_colours_are_for_terminals(capsys, monkeypatch):
    reporter = Reporter(Snapshot(Path("/r"), {}), Path("/r"))
    lines = list(reporter.lines([Diagnostic(message="wrong", file="a.cue", line=1, column=1, hint="right")]))
    assert "\x1b[" in lines[0]
    show(lines)
    assert capsys.readouterr().out == "a.cue:1:1: error: wrong\n  hint: right\n"
