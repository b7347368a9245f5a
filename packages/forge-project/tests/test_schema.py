import pytest

from forge_cue import EvaluationRequest, Instance, Schema
from forge_project.schema import RepositoryNames, compose


async def test_schema_holds_every_plugin(component, plugins):
    text = component.schema()
    for expected in ("command!: [string, ...string]", "index_url!: string", "tags?: [...string]", "key!: string"):
        assert expected in text


@pytest.mark.parametrize("names", [None, RepositoryNames(frozenset({"x-y"}), {"a.b": "index", "gone": "unknown"})])
async def test_composed_schema_is_valid(evaluator, plugins, names):
    schema = Schema(files=compose(plugins, names))
    response = await evaluator.evaluate(EvaluationRequest(instances=[], schema=schema))
    assert response.errors == []


async def test_schema_without_plugins_is_valid(evaluator, plugins):
    schema = Schema(files=compose(type(plugins)()))
    instance = Instance(
        "x", "repo", {"x": 'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "tag-all"\n'}, "#Repository"
    )
    response = await evaluator.evaluate(EvaluationRequest(instances=[instance], schema=schema))
    assert [error.message for error in response.results[0].errors] == []


@pytest.mark.parametrize("name", ['a"b', "a\\b", "ü-x", "a.b"])
async def test_any_name_can_be_composed(evaluator, plugins, name):
    plugins.producers[name] = plugins.producers["build"]
    schema = Schema(files=compose(plugins, RepositoryNames(frozenset({name}), {name: "index"})))
    response = await evaluator.evaluate(EvaluationRequest(instances=[], schema=schema))
    assert response.errors == []


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("90s", True),
        ("10m", True),
        ("1h30m", True),
        ("1h5s", True),
        ("", False),
        ("10", False),
        ("1m1h", False),
        ("-1s", False),
    ],
)
async def test_durations_of_the_schema(evaluator, plugins, text, valid):
    instance = Instance("x", "p", {"x": f'package p\n"{text}"'}, "#Duration")
    response = await evaluator.evaluate(EvaluationRequest(instances=[instance], schema=Schema(files=compose(plugins))))
    assert (response.results[0].errors == []) is valid
