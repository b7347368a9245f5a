import pytest

from forge_cue import EvaluationRequest, Instance, Schema


def told(result):
    return [(error.kind, error.path, error.positions[0][1:]) for error in result.errors]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: )", ("syntax", "", (2, 4))),
        ("a: @artifact(web.uri)", ("bare_attribute", "", (2, 4))),
        ("a: b", ("reference", "a", (2, 4))),
        ('import "strings"\na: 1', ("import", "", (2, 8))),
        ('import "nosuch"\na: nosuch.A', ("import", "", (2, 8))),
        ('import "tool/exec"\na: exec.Run', ("import", "", (2, 8))),
        ('import "tool/file"\na: file.Read', ("import", "", (2, 8))),
        ('import "example.com/x@v0"\na: x.A', ("import", "", (2, 8))),
        ("a: 1\na: 2", ("value", "a", (2, 4))),
        ("a: 1/0", ("value", "a", (2, 4))),
        ("a: {b: a}", ("cycle", "a.b", (2, 1))),
        ('a: ("x" | "y") & "z"', ("value", "a", (2, 5))),
        ("#D: {b: 1}\na: #D & {c: 1}", ("not_allowed", "a.c", (3, 10))),
        ("#D: {b!: 1}\na: #D", ("required", "a.b", (2, 6))),
        ("a: 1E+400", ("value", "", (1, 9))),
        ("a: " + "{b: " * 600 + "1" + "}" * 600, ("value", "", (1, 9))),
    ],
)
async def test_each_kind_is_told_with_its_place(evaluate, text, expected):
    assert told(await evaluate(text)) == [expected]


async def test_incomplete_fields_are_errors_where_values_must_be_concrete(evaluate):
    result = await evaluate("a: int", require_concrete=True)
    assert told(result) == [("incomplete", "a", (2, 4))]


@pytest.mark.parametrize(
    ("text", "place"), [("a: 1", ("project.cue", 1, 1)), ("package other\na: 1", ("project.cue", 1, 9))]
)
async def test_a_file_must_name_its_package(evaluate, text, place):
    result = await evaluate({"project.cue": text})
    assert [(error.kind, error.positions) for error in result.errors] == [("package", (place,))]


@pytest.mark.parametrize("extern", ["embed", '"wasm"'])
async def test_nothing_outside_of_cue_is_reached(evaluate, extern):
    text = f"@extern({extern})\npackage project\na: _ @embed(file=/etc/hostname,type=text)"
    result = await evaluate({"project.cue": text})
    assert told(result) == [("import", "", (1, 1))]


async def test_errors_of_all_files_come_in_one_report(evaluate):
    result = await evaluate(
        {
            "a.cue": "package project\na: @x()\nb: @y()",
            "b.cue": "package project\nc: ]",
            "c.cue": "d: 1",
            "d.cue": 'package project\nimport "a.example/b"\ne: b',
        }
    )
    assert [(error.kind, error.positions[0].file) for error in result.errors] == [
        ("bare_attribute", "a.cue"),
        ("bare_attribute", "a.cue"),
        ("syntax", "b.cue"),
        ("package", "c.cue"),
        ("import", "d.cue"),
    ]


async def test_bare_attributes_after_strings_with_interpolations_are_found(evaluate):
    result = await evaluate('a: "\\("x\\((1))") )"\nb: @x()')
    assert told(result) == [("bare_attribute", "", (3, 4))]


async def test_unknown_names_do_not_hide_errors_of_values_and_schema(against_schema):
    text = 'name: 1\nreplicas: "x" + nope\ntags: [for t in nowhere {t}, 2]\nnmae: "a"'
    result = await against_schema(text)
    assert told(result) == [
        ("value", "name", (2, 7)),
        ("reference", "replicas", (3, 17)),
        ("reference", "tags", (4, 17)),
        ("value", "tags[0]", (4, 30)),
        ("not_allowed", "nmae", (5, 1)),
    ]


async def test_conflicts_do_not_hide_fields_that_are_not_allowed(against_schema):
    text = 'name: 1\nfoo: {bar: 1}\nsteps: test: {action: "command", comand: ["x"]}'
    result = await against_schema(text)
    assert told(result) == [
        ("value", "name", (2, 7)),
        ("not_allowed", "foo", (3, 1)),
        ("not_allowed", "steps.test.comand", (4, 34)),
    ]


async def test_a_failed_disjunction_is_one_error(against_schema):
    result = await against_schema('name: "a"\nsteps: test: {action: "nope"}')
    assert told(result) == [("value", "steps.test.action", (3, 23))]
    assert '"command"' in result.errors[0].message


async def test_positions_in_the_schema_come_after_the_users(against_schema):
    result = await against_schema("name: 1")
    assert [at.file for at in result.errors[0].positions] == ["project.cue", "forge:schema/project.cue"]


async def test_a_missing_field_points_to_the_user(against_schema):
    result = await against_schema("replicas: 1")
    assert [(error.kind, error.path, error.positions[0].file) for error in result.errors] == [
        ("required", "name", "project.cue")
    ]


async def test_users_import_the_schema(against_schema):
    text = 'import "forge.projectcatalyst.io/schema/v1"\nv1.#Project\nname: "a"\nfoo: 1'
    result = await against_schema(text)
    assert told(result) == [("not_allowed", "foo", (5, 1))]


async def test_a_schema_in_error_is_told_for_the_request(evaluator):
    broken = Schema(files={"x.cue": "package v1\n#P: undefined"})
    response = await evaluator.evaluate(EvaluationRequest([], broken))
    assert [str(error) for error in response.errors] == ['forge:schema/x.cue:2:5: #P: reference "undefined" not found']


async def test_an_unknown_definition_is_told(evaluator, schema):
    instance = Instance("x", "p", {"x.cue": "package p"}, schema="#Nope")
    response = await evaluator.evaluate(EvaluationRequest([instance], schema))
    assert [(error.kind, error.message) for error in response.results[0].errors] == [
        ("schema", "the schema has no #Nope")
    ]


async def test_the_number_of_errors_is_bounded(evaluate):
    result = await evaluate("\n".join(f"a{i}: undefined{i}" for i in range(2000)))
    assert len(result.errors) == 500
