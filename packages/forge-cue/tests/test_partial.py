"""What is known of a package in spite of its errors."""

import pytest


async def test_fields_without_errors_can_be_read(evaluate):
    result = await evaluate("a: 1\nb: 1 & 2\nc: {d: [1, unknown], e: 3}")
    assert result.value is None
    assert result.partial == {"a": 1, "c": {"d": [1, None], "e": 3}}


async def test_a_value_has_no_partial_one(evaluate):
    result = await evaluate("a: 1")
    assert (result.value, result.partial) == ({"a": 1}, None)


async def test_nothing_is_known_of_a_text_that_cannot_be_parsed(evaluate):
    assert (await evaluate("a: (")).partial is None


async def test_a_broken_file_hides_nothing_of_the_others(evaluate):
    result = await evaluate(
        {"a.cue": "package project\na: (", "b.cue": "package project\nb: 1 & 2\nc: fromTheOther\nd: 4"}
    )
    assert [(error.kind, error.positions[0].file) for error in result.errors] == [
        ("syntax", "a.cue"),
        ("value", "b.cue"),
    ]
    assert result.partial == {"d": 4}


async def test_refused_fields_come_with_those_that_are_allowed(against_schema):
    result = await against_schema('name: "a"\nreplcas: 3\nsteps: a: {action: "command", comand: []}')
    assert {error.path: error.allowed for error in result.errors} == {
        "replcas": ("name", "replicas", "steps", "tags"),
        "steps.a.comand": ("action", "command"),
    }


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("a:@x()\nb: 1 & 2", [(2, 3), (3, 4), (3, 8)]),
        ("a: {b:@x(), c: 1 & 2}", [(2, 7), (2, 16), (2, 20)]),
        ("a: {b:@x(), d:@y(), c: unknown}", [(2, 7), (2, 15), (2, 24)]),
        ('a: {é: "é", b:@x(), c: unknown}', [(2, 15), (2, 24)]),
    ],
)
async def test_places_are_those_of_the_text_that_was_sent(evaluate, text, positions):
    result = await evaluate(text)
    assert sorted(place[1:] for error in result.errors for place in error.positions) == positions


async def test_attributes_stand_where_they_are_written(evaluate):
    result = await evaluate("a:@x()\nb: _ @y()\nc:@z()")
    assert [one.position[1:] for one in result.attributes] == [(2, 3), (3, 6), (4, 3)]


async def test_consequences_of_a_repair_are_not_reported(evaluate):
    result = await evaluate('import "strings"\nimport "example.com/x"\nlet tool = "a"\na: strings.Lower(tol)\nb: x.y')
    assert [(error.kind, error.positions[0].line) for error in result.errors] == [("import", 3), ("reference", 5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {\nb: 1", "expected '}', found the end of the file: the { of line 2 is never closed"),
        ('a: "\\(b', "string literal not terminated"),
        ("a: [1 2]", "missing ',' in list literal"),
    ],
)
async def test_one_syntax_error_for_each_file(evaluate, text, message):
    result = await evaluate(text)
    assert [error.message for error in result.errors] == [message]
