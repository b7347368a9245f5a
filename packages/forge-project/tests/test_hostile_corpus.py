"""Configurations that try to take the machine: each ends with its own error within the limits, and the next request is served."""

import time

import pytest

from forge_cue import Evaluator
from forge_project import ProjectComponent
from forge_sdk.errors import ConfigurationError, ErrorCode
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.models.jobs import GitContext

TIME_LIMIT_S = 2.0
LONGEST_MESSAGE = 4000
SECRET = "canary-8fd1"
LIMITS = ("time limit", "memory limit", "stack limit", "output limit")
REPOSITORY = 'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\nphases: check: group: 1\n'


def project(body, header=""):
    return f'{header}package project\n{body}\nname: "a"\n'


def deployed(value, imports=""):
    """A project with a value that the schema lets through."""
    return project(
        f"{imports}\n_v: {value}\n"
        'deployment: resources: [{apiVersion: "example.org/v1", kind: "Thing", metadata: name: "a", spec: v: _v}]'
    )


def doubled(count):
    lines = ["_a0: {x: 1}", *(f"_a{n}: {{x: _a{n - 1}, y: _a{n - 1}}}" for n in range(1, count))]
    return deployed(f"_a{count - 1}", "\n".join(lines))


def multiplied(first, line, count):
    lines = [f"_a0: {first}", *(f"_a{n}: {line.replace('PREV', f'_a{n - 1}')}" for n in range(1, count))]
    return deployed(f"_a{count - 1}", "\n".join(lines))


LOOPS = "".join(f"for v{n} in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] " for n in range(7))
ALIASES = (
    '"""\n\ta0: &a0 [x]\n'
    + "".join(f"\ta{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    + '\t"""'
)

# What may come out: a part of a message, or that one of the limits ends it.
BOMBS = {
    "nested-braces": (project("x: " + "{" * 100_000), ["maximum nesting depth"]),
    "nested-lists": (project("x: " + "[" * 1_000_000), ["maximum nesting depth"]),
    "nested-parentheses": (project("x: " + "(" * 1_000_000), ["maximum nesting depth"]),
    "nested-interpolations": (project("x: " + '"\\(' * 100_000), ["nesting depth", "not terminated", *LIMITS]),
    "recursive-definition": (deployed("#D", "#D: {a: #D}"), ["structural cycle"]),
    "recursive-list": (deployed("[_v]"), ["structural cycle"]),
    "recursive-function": (deployed("(#F & {n: 1}).out", '#F: {n: int, out: (#F & {"n": n + 1}).out}'), ["cycle"]),
    "long-list": (deployed('list.Repeat(["x"], 100000000)', 'import "list"'), ["exceeds limit"]),
    "long-text": (deployed('strings.Repeat("x", 100000000)', 'import "strings"'), ["exceeds limit"]),
    "multiplied-text": (deployed('"x" * 100000000'), ["exceeds limit", "invalid operand"]),
    "text-of-100-gigabytes": (
        deployed('strings.Repeat(strings.Repeat("x", 1000000), 100000)', 'import "strings"'),
        LIMITS,
    ),
    "large-power": (deployed("math.Pow(10, 1000000000)", 'import "math"'), ["exponent out of range"]),
    "repeated-squares": (multiplied("10", "PREV * PREV", 40), ["out of range", "too large", *LIMITS]),
    "regular-expression": (deployed('"a" =~ "((a{1000}){1000}){1000}"'), ["invalid repeat count"]),
    "yaml-aliases": (deployed(f"yaml.Unmarshal({ALIASES})", 'import "encoding/yaml"'), ["aliases"]),
    "range": (deployed("list.Range(0, 1000000000, 1)", 'import "list"'), LIMITS),
    "doubled-structs": (doubled(30), LIMITS),
    "lists-of-lists": (
        multiplied("[1]", "[" + "for x in PREV for y in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] {x}" + "]", 9),
        LIMITS,
    ),
    "text-times-ten": (multiplied('"xxxxxxxxxx"', '"' + "\\(PREV)" * 10 + '"', 11), LIMITS),
    "nested-loops": (deployed(f"[{LOOPS}{{v0}}]"), LIMITS),
    "choices": (deployed(" & ".join(f"({{a{n}: 1}} | {{b{n}: 1}})" for n in range(22))), LIMITS),
    "patterns": (
        deployed("{" + "".join(f'[=~"^x.*{n}$"]: _\nx{n}: {n}\n' for n in range(6000)) + "}"),
        LIMITS,
    ),
    "chain-forward": (multiplied("0", "PREV + 1", 100_000), [*LIMITS, "more than"]),
    "chain-backward": (
        deployed("_a0", "\n".join([*(f"_a{n}: _a{n + 1} + 1" for n in range(100_000)), "_a100000: 0"])),
        LIMITS,
    ),
    "large-output": (
        deployed('[for i in list.Range(0, 40000, 1) {"\\(i) 0123456789012345678901234567890"}]', 'import "list"'),
        LIMITS,
    ),
    "deep-value": (deployed("{a: " * 600 + "1" + "}" * 600), ["nested deeper than 500 levels"]),
    "long-number": (deployed("1" + "0" * 100_000), ["too large or too long"]),
    "embedded-file": (
        project('x: _ @embed(file="CANARY",type=text)', "@extern(embed)\n"),
        ["can't reach files or programs"],
    ),
    "embedded-files": (project("x: _ @embed(glob=*.txt,type=text)", "@extern(embed)\n"), ["can't reach files"]),
    "web-assembly": (project('f: _ @extern("CANARY", abi=c)', '@extern("wasm")\n'), ["can't reach files"]),
    "run-a-program": (project('import "tool/exec"\n_r: exec.Run & {cmd: "cat CANARY"}'), ["run commands"]),
    "read-a-file": (project('import "tool/file"\n_r: file.Read & {filename: "CANARY"}'), ["run commands"]),
    "write-a-file": (project('import "tool/file"\n_w: file.Create & {filename: "CANARY.new"}'), ["run commands"]),
    "ask-a-server": (project('import "tool/http"\n_g: http.Get & {url: "http://127.0.0.1:1"}'), ["run commands"]),
    "import-a-path": (project('import "CANARY"\nx: 1'), ["refused", "undefined", "no package", "invalid import"]),
    "import-upwards": (
        project('import "../../../etc"\nx: 1'),
        ["refused", "undefined", "no package", "invalid import"],
    ),
    "import-a-module": (project('import "example.com/evil@v0"\nx: 1'), ["modules are not fetched"]),
    "null-character": (project('x: "a\x00b"'), ["NUL", "illegal character"]),
    "utf-16": (project("").encode("utf-16"), ["not UTF-8"]),
    "broken-utf-8": (project('x: "\\xe2"').encode() + b"\xe2\x82", ["not UTF-8"]),
    "invisible-characters": ('package project\nname: "a\u202eb\u200b"\n', ["does not have the form"]),
    "name-upwards": ('package project\nname: "../../etc"\n', ["does not have the form"]),
    "artifact-upwards": (
        project('artifacts: "../x": {type: "archive", producer: wheels: {}, publishers: {}}'),
        ["can't be a name"],
    ),
    "resource-upwards": (
        project('deployment: resources: [{apiVersion: "v1", kind: "../X", metadata: name: "../../x"}]'),
        ["does not have the form"],
    ),
    "many-mistakes": (project("".join(f"x{n}: 1\n" for n in range(2_000))), ["field not allowed"]),
    "many-unknown-names": (project("".join(f"_x{n}: y{n}\n" for n in range(5_000))), ["not found", *LIMITS]),
    "many-bare-attributes": (project("".join(f"x{n}:@artifact(a)\n" for n in range(1_000))), ["needs a value"]),
    "long-wrong-text": (project(f'release: on: [{{branch: "{"(" * 500_000}"}}]'), ["more than 1000 characters"]),
    "long-wrong-value": (project(f'ci: "{"x" * 500_000}"'), ["a struct is needed"]),
    "long-field-name": (project(f"{'x' * 200_000}: 1"), ["field not allowed"]),
}


@pytest.fixture(scope="module")
async def confined():
    async with Evaluator(
        processes=1, time_limit=TIME_LIMIT_S, memory_limit=192 << 20, output_limit=1 << 20
    ) as evaluator:
        yield evaluator


@pytest.mark.parametrize("name", BOMBS)
async def test_bomb(name, confined, plugins, tree, tmp_path):
    canary = tmp_path / "canary.txt"
    canary.write_text(SECRET)
    text, expected = BOMBS[name]
    if isinstance(text, str):
        text = text.replace("CANARY", str(canary))
    component = ProjectComponent(plugins, confined)
    started = time.monotonic()
    with pytest.raises(ConfigurationError) as error:
        await component.discover(tree({".forge/repo.cue": REPOSITORY, "a/.forge/project.cue": text}), GitContext())
    assert time.monotonic() - started < TIME_LIMIT_S + 4
    assert any(part in error.value.message for part in expected), error.value.message[:500]
    check_report(error.value, text)
    assert SECRET not in str(error.value.context) + error.value.message
    assert [one.name for one in tmp_path.iterdir()] == ["canary.txt"]
    served = await component.discover(
        tree({".forge/repo.cue": REPOSITORY, "b/.forge/project.cue": project("")}), GitContext()
    )
    assert [one.path for one in served.projects] == ["b"]


def check_report(error, text):
    assert error.code in {ErrorCode.CONFIGURATION_INVALID, ErrorCode.CUE_LIMIT_EXCEEDED}
    found = [Diagnostic.model_validate(one) for one in error.context["diagnostics"]]
    assert found
    lines = text.count("\n" if isinstance(text, str) else b"\n") + 1
    for one in found:
        assert one.file == "a/.forge/project.cue"
        assert 1 <= one.line <= lines
        assert len(str(one)) < LONGEST_MESSAGE
        assert str(one).isprintable()
