import pytest

from forge_cue import EvaluationRequest, Evaluator, Instance, Schema
from forge_project.schema import IMPORT_PATH, PACKAGE


async def evaluated(schema: str, project: str):
    instance = Instance(name="p", package="project", files={"p.cue": project}, schema="#Project", require_concrete=True)
    async with Evaluator(processes=1) as evaluator:
        return await evaluator.evaluate(
            EvaluationRequest(
                instances=[instance],
                schema=Schema(files={"schema.cue": schema}, package=PACKAGE, import_path=IMPORT_PATH),
            )
        )


@pytest.fixture
def printed(configured, process) -> str:
    return process("schema").stdout


async def test_the_printed_schema_checks_projects(printed, configured):
    response = await evaluated(printed, 'package project\nname: "x"\nci: phases: tset: {}\n')
    assert response.errors == []
    assert [error.path for error in response.results[0].errors] == ["ci.phases.tset"]


def test_plugins_and_the_repository_are_part_of_it(printed):
    assert '#PublisherTypes: "pypi": {' in printed
    assert '"test"?: #PhaseSteps' in printed
    assert printed.count("package ") == printed.count("package v1\n") == 1


def test_outside_of_a_repository_any_name_passes(tmp_path, process):
    assert "#CiPhases: [#Name]: #PhaseSteps" in process("schema", tmp_path).stdout


def test_a_repository_with_mistakes_leaves_names_open(configured, change, process):
    change(".forge/repo.cue", "group: 1", "group: true")
    done = process("schema")
    assert done.returncode == 0
    assert "#CiPhases: [#Name]: #PhaseSteps" in done.stdout
    assert "forge validate" in done.stderr
