import pytest

from forge_cue import Evaluator
from forge_project import ProjectComponent
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.jobs import GitContext

CHECK = 'ci: phases: check: a: {action: "command", command: ["x"]}\n'


async def test_problems_of_several_files_in_one_report(refused, files):
    files["b/.forge/project.cue"] = (
        'package project\nname: "shop"\nci: phases: tset: a: {action: "command", command: ["x"]}\n'
    )
    files["c/.forge/project.cue"] = "package project\nname: (\n"
    path = "services/shop/.forge/project.cue"
    files[path] = files[path].replace('command: ["mypy"]', 'comand: ["mypy"]').replace('target: "web"', "target: 3")
    found = await refused(files)
    places = [problem.split(": ")[0] for problem in found]
    assert [place.split(":")[0] for place in places] == sorted(place.split(":")[0] for place in places)
    assert {place.split(":")[0] for place in places} == {"b/.forge/project.cue", "c/.forge/project.cue", path}
    text = "\n".join(found)
    for expected in (
        "b/.forge/project.cue:3:13: ci.phases.tset: phase 'tset' is not defined in .forge/repo.cue (did you mean 'test'?",
        "b/.forge/project.cue:3:5: ci.phases: the required phase 'check' has no steps",
        "services/shop/.forge/project.cue:3:1: name: the project name 'shop' is taken by b/.forge/project.cue:2",
        "comand: field not allowed (did you mean 'command'?)",
        "artifacts.web.producer.build.target: a string is needed, not 3",
    ):
        assert expected in text


async def test_every_position_is_in_a_file_of_the_user(refused, files):
    path = "services/shop/.forge/project.cue"
    files[path] = files[path].replace('name: "shop"\nci', "ci").replace('"1h30m"', '"soon"').replace("true}", "1}")
    for problem in await refused(files):
        assert problem.startswith((path, ".forge/repo.cue"))


async def test_broken_repository_does_not_hide_projects(refused, files):
    files[".forge/repo.cue"] = files[".forge/repo.cue"].replace('"monorepo"', '"all"')
    files["b/.forge/project.cue"] = f'package project\nname: "shop"\nnmae: 1\n{CHECK}'
    text = "\n".join(await refused(files))
    assert ".forge/repo.cue:4:" in text
    assert "incomplete" not in text
    assert "nmae: field not allowed (did you mean 'name'?)" in text
    assert "is taken by" in text


async def test_project_name_equal_but_for_case(refused, files):
    files["b/.forge/project.cue"] = f'package project\nname: "Shop"\n{CHECK}'
    (problem,) = await refused(files)
    assert "the project name 'shop' is taken by b/.forge/project.cue:2 ('Shop')" in problem


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            'ci: phases: check: a: {action: "comand", command: ["x"]}',
            (
                "a/.forge/project.cue:3:24: ci.phases.check.a.action: action 'comand' is not installed "
                "(did you mean 'command'? installed: command)"
            ),
        ),
        (
            CHECK + 'artifacts: x: {type: "container", producer: biuld: {}, publishers: {}}',
            (
                "a/.forge/project.cue:4:45: artifacts.x.producer.biuld: producer 'biuld' is not installed "
                "(did you mean 'build'? installed: build, wheels)"
            ),
        ),
        (
            CHECK + 'artifacts: x: {type: "container", producer: build: target: "x", publishers: image: {}}',
            (
                "a/.forge/project.cue:4:77: artifacts.x.publishers.image: publisher 'image' is not defined in .forge/repo.cue "
                "(did you mean 'images'? defined: images, index)"
            ),
        ),
        (
            'ci: phases: check: a: {action: "command", command: ["x"], secrets: [{env: "A", provider: "vault", key: "x"}]}',
            (
                "a/.forge/project.cue:3:80: ci.phases.check.a.secrets[0].provider: secret provider 'vault' is not installed "
                "(installed: local)"
            ),
        ),
        (
            CHECK + 'artifacts: x: {type: "binary", producer: build: target: "x", publishers: index: {}}',
            (
                "a/.forge/project.cue:4:42: artifacts.x.producer.build: 'build' does not take artifacts of type 'binary' "
                "(it takes: container)"
            ),
        ),
        (
            CHECK + 'artifacts: x: {type: "container", producer: {}, publishers: {}}',
            (
                "a/.forge/project.cue:4:35: artifacts.x.producer: exactly one producer is needed, found none "
                "(installed: build, wheels)"
            ),
        ),
        (
            CHECK + 'release: on: [{branch: "main(?=x)"}]',
            "a/.forge/project.cue:4:16: release.on[0].branch: 'main(?=x)' is no regular expression of RE2",
        ),
        (
            CHECK + 'release: on: [{branch: "main", tag: true}]',
            "a/.forge/project.cue:4:15: release.on[0]: a trigger has either a branch or a tag",
        ),
        (
            'ci: phases: check: a: {action: "command", command: ["x"], timeout: "3 minutes"}',
            '(write a duration such as "90s", "10m" or "1h30m")',
        ),
        (
            'ci: phases: check: a: {action: "command", command: ["x"], timeout: "0s"}',
            "a/.forge/project.cue:3:59: ci.phases.check.a.timeout: 0s is not between 1s and 24h",
        ),
        (
            'ci: phases: check: {a: {action: "command", command: ["x"]}, A: {action: "command", command: ["x"]}}',
            "a/.forge/project.cue:3:61: ci.phases.check.A: 'A' and 'a' differ in upper and lower case only",
        ),
        (
            'ci: phases: check: "not a name": {action: "command", command: ["x"]}',
            "a/.forge/project.cue:3:20: ci.phases.check.\"not a name\": 'not a name' can't be a name",
        ),
        (
            'ci: phases: check: a: {action: "command"}',
            "ci.phases.check.a.command: field is required but not present (add the field 'command')",
        ),
        (
            CHECK + "deployment: resources: [{}]",
            "a/.forge/project.cue:4:25: deployment.resources[0].apiVersion: field is required but not present",
        ),
        (
            CHECK + 'deployment: resources: [{apiVersion: "v1", kind: "X", metadata: name: "x", n: int}]',
            "deployment.resources[0].n: no value is given, only int (give it a concrete value)",
        ),
    ],
)
async def test_problem_says_where_and_what_is_possible(project, body, expected):
    assert expected in "\n".join(await project(f'name: "a"; {body}'.replace("; ", "\n", 1)))


async def test_version_of_another_major_ends_discovery(refused, discover, files):
    files[".forge/repo.cue"] = files[".forge/repo.cue"].replace("v0.1.0", "v2.0.0").replace('"monorepo"', '"new"')
    (problem,) = await refused(files)
    assert "v2.0.0" in problem
    assert "v0.1.0" in problem
    with pytest.raises(ConfigurationError) as error:
        await discover(files)
    assert error.value.code is ErrorCode.VERSION_UNSUPPORTED


async def test_unknown_publisher_type(refused, files):
    files[".forge/repo.cue"] = files[".forge/repo.cue"].replace('type: "images"', 'type: "image"')
    found = "\n".join(await refused(files))
    assert "publishers.images.type: publisher type 'image' is not installed (did you mean 'images'?" in found


async def test_forge_folder_inside_another(refused, files):
    files["a/.forge/.forge/x.txt"] = ""
    (problem,) = await refused(files)
    assert problem.startswith("a/.forge/.forge/x.txt:1:1: a .forge folder inside another")


async def test_file_that_is_not_utf8(refused, files):
    files["a/.forge/project.cue"] = b'package project\nname: "\xff"\n'
    (problem,) = await refused(files)
    assert problem.startswith("a/.forge/project.cue:2:8: the file is not UTF-8")


async def test_limit_names_the_file(plugins, files, tree):
    files["b/.forge/project.cue"] = f"""package project
import "list"
name: "b"
{CHECK}
deployment: resources: [{{apiVersion: "v1", kind: "X", metadata: name: "x", n: list.Range(0, 1000000000, 1)}}]
"""
    async with Evaluator(processes=1, time_limit=1.0) as evaluator:
        with pytest.raises(PlatformError, match=r"CUE_LIMIT_EXCEEDED: b/\.forge/project\.cue") as error:
            await ProjectComponent(plugins, evaluator).discover(tree(files), GitContext())
    assert error.value.code is ErrorCode.CUE_LIMIT_EXCEEDED


async def test_wrong_schema_of_a_plugin_names_it(plugins, discover, files):
    plugins.step_actions["command"].schema = "{command!: strin}"
    with pytest.raises(PlatformError, match=r"actions/command\.cue") as error:
        await discover(files)
    assert error.value.code is ErrorCode.PLUGIN_INVALID


async def test_conflict_in_one_file_is_the_only_problem_of_it(project):
    found = await project(f'name: "a"\n{CHECK}ci: phases: check: a: timeout: "1m" & "2m"\n')
    assert len(found) == 1
    assert "ci.phases.check.a.timeout: conflicting values" in found[0]
