import json
import string
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from forge_cue import EvaluationRequest, Evaluator, Instance, format_path

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = TEXT.map(lambda name: unicodedata.normalize("NFC", name))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
PROPERTY = settings(max_examples=60, deadline=None)


async def test_gives_the_value_with_defaults_chosen(evaluate):
    result = await evaluate('name: "a\\(n)"\nn: *1 | int\n_hidden: 2\n#D: 3\nlist: [for i in [1, 2] {i * n}]')
    assert result.value == {"name": "a1", "n": 1, "list": [1, 2]}


async def test_joins_files_of_one_package(evaluate):
    result = await evaluate({"a.cue": "package project\na: b", "b.cue": "package project\nb: 1"})
    assert result.value == {"a": 1, "b": 1}


async def test_serves_standard_packages(evaluate):
    result = await evaluate('import "strings"\nname: strings.ToUpper("a")')
    assert result.value == {"name": "A"}


async def test_integers_stay_exact(evaluate):
    result = await evaluate(f"n: {10**60 + 1}\nf: 1.50")
    assert result.value == {"n": 10**60 + 1, "f": 1.5}


async def test_evaluates_many_packages_by_one_request(evaluator, schema):
    instances = [
        Instance(f"p{i}", "project", {"project.cue": f'package project\nname: "a"\nreplicas: {i}'}, "#Project")
        for i in range(50)
    ]
    response = await evaluator.evaluate(EvaluationRequest(instances, schema))
    assert [(one.name, one.value["replicas"]) for one in response.results] == [(f"p{i}", i) for i in range(50)]


async def test_an_error_of_one_package_leaves_the_others(evaluator):
    texts = ["a: 1", "a: 1 & 2", "a: )", "a: 3"]
    instances = [Instance(text, "p", {"p.cue": f"package p\n{text}"}) for text in texts]
    response = await evaluator.evaluate(EvaluationRequest(instances))
    assert [one.value for one in response.results] == [{"a": 1}, None, None, {"a": 3}]


async def test_fields_without_concrete_value_are_open(evaluate):
    result = await evaluate('a: string\nb: "\\(a)!"\nc: {d: int, e: 1}\nl: [1, int]')
    assert result.value == {"c": {"e": 1}, "l": [1, None]}
    assert result.open == ["a", "b", "c.d", "l[1]"]


async def test_an_undecided_condition_leaves_its_struct_open(evaluate):
    result = await evaluate("a: bool\nc: {if a {b: 1}, d: 2}")
    assert result.value == {"c": {"d": 2}}
    assert "c" in result.open


async def test_positions_follow_the_source_text(evaluate):
    result = await evaluate("publishers: {pypi: {}, docker: {}}\nlist: [{a: 1}]")
    assert list(result.positions.items())[1:3] == [
        ("publishers.pypi", ("project.cue", 2, 14)),
        ("publishers.docker", ("project.cue", 2, 24)),
    ]
    assert result.positions["list[0].a"] == ("project.cue", 3, 9)


async def test_columns_count_characters(evaluate):
    result = await evaluate('"éé": 1, x: 1')
    assert result.positions["x"].column == 10


@PROPERTY
@given(value=VALUES)
async def test_what_json_can_say_comes_back(value):
    async with Evaluator(processes=1) as evaluator:
        text = json.dumps(value, ensure_ascii=False)
        instance = Instance("x", "p", {"p.cue": f"package p\nvalue: {text}"}, require_concrete=True)
        response = await evaluator.evaluate(EvaluationRequest([instance]))
        result = response.results[0]
    assert result.errors == []
    assert result.value == {"value": value}


@PROPERTY
@given(names=st.lists(TEXT | st.text(string.ascii_letters + "_#$0-", max_size=6), min_size=1, max_size=4))
async def test_format_path_names_fields_as_the_evaluator_does(names):
    text = ": ".join(json.dumps(name, ensure_ascii=False) for name in names)
    async with Evaluator(processes=1) as evaluator:
        instance = Instance("x", "p", {"p.cue": f"package p\n{text}: 1"})
        response = await evaluator.evaluate(EvaluationRequest([instance]))
    assert format_path(names) in response.results[0].positions
