"""Whatever a repository says, discovery ends with a document or with a report whose places are in the user's files."""

import pytest

from forge_sdk.errors import ConfigurationError
from forge_sdk.models.discovery import Diagnostic

STEP = 'ci: phases: check: a: {action: "command", command: ["x"]}\n'
PROJECTS = [
    "",
    "\ufeff",
    "package other\nname: 1",
    "package project",
    "package project\n1",
    "package project\n[1, 2]",
    "package project\nname: 5",
    "package project\nci: 3\nartifacts: 4\nrelease: 5\ndeployment: 6",
    "package project\nci: phases: 3",
    "package project\nci: phases: check: [1]",
    "package project\nci: phases: check: a: 3",
    'package project\nci: phases: check: a: {action: 5, secrets: 3, timeout: 4, priority: "x"}',
    'package project\nci: phases: check: a: {action: "command", command: ["x"], secrets: [1, {provider: 2}, {env: "1x"}]}',
    f'package project\nname: "a"\n{STEP}artifacts: x: {{type: 3, producer: 4, publishers: 5}}',
    f'package project\nname: "a"\n{STEP}artifacts: x: {{type: "container", producer: build: 4, publishers: images: 5}}',
    f'package project\nname: "a"\n{STEP}release: on: [1, {{branch: 3}}, {{}}, {{tag: false}}]',
    f'package project\nname: "a"\n{STEP}release: on: [{{branch: "((((a){{1000}}){{1000}}){{1000}})"}}]',
    f'package project\nname: "a"\n{STEP}release: on: [{{branch: "{"x" * 2000}"}}]',
    f'package project\nname: "a"\n{STEP}deployment: resources: [1, null, "x", []]',
    f'package project\nname: "a"\n{STEP}deployment: resources: 3',
    f"package project\nname: string @repo()\n{STEP}",
    f"package project\nname: string @repo(path=)\n{STEP}deployment: resources: [] @artifact(a, b)",
    f'package project\nname: @artifact("x")\n{STEP}',
    f'package project\nname: "a" @repo(path="phases.check")\n{STEP}',
    'package project\nimport "tool/exec"\nname: "a"\nx: exec.Run',
    'package project\nimport "example.com/x"\nname: "a"',
    "@extern(embed)\npackage project\nname: _ @embed(file=/etc/hostname,type=text)",
    "package project\nname: name2\n",
    "package project\nname: name\n",
    'package project\nname: "a"\nif name == "b" {x: 1}\nfor k, v in name {(k): v}',
    "package project\n" + "{" * 5000,
    "package project\x00",
    f'package project\nname: "a"\n{STEP}"x\\u0000y": 1',
    f'package project\nname: "a"\n{STEP}_#hidden: 1 & 2',
    f'package project\nname: "a"\n{STEP}#D: 1 & "x"',
]
REPOSITORIES = [
    "",
    "package repo",
    "package repo\nforgeVersion: 1",
    'package repo\nforgeVersion: "v99999999999.0.0"',
    'package repo\nforgeVersion: "v0.1.0"\ntagging: 3\nphases: 4\npublishers: 5',
    'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\nphases: a: 3\npublishers: b: 4',
    'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\nphases: a: {group: 1.5, timeout: 3}',
    'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\nphases: a: {group: 1, timeout: "0s"}',
    'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\nphases: {a: group: 1, A: group: 1}',
    'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\npublishers: x: {type: 3, credentials: 4}',
    (
        'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\npublishers: x: {type: "index", index_url: "x", '
        'credentials: {provider: "vault"}}'
    ),
    'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: string @repo(path="x")',
]


def check_report(error):
    found = [Diagnostic.model_validate(one) for one in error.value.context["diagnostics"]]
    assert found
    for one in found:
        assert one.file.endswith((".forge/repo.cue", ".forge/project.cue"))
        assert one.line >= 1
        assert one.column >= 1
        assert one.message


@pytest.mark.parametrize("text", PROJECTS)
async def test_hostile_project(discover, files, text):
    with pytest.raises(ConfigurationError) as error:
        await discover({**files, "h/.forge/project.cue": text})
    check_report(error)


@pytest.mark.parametrize("text", REPOSITORIES)
async def test_hostile_repository(discover, files, text):
    with pytest.raises(ConfigurationError) as error:
        await discover({**files, ".forge/repo.cue": text})
    check_report(error)
