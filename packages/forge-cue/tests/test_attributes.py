from forge_cue import EvaluationRequest, Fill, Instance


async def test_arguments_are_read(evaluate):
    result = await evaluate('a: string @x("web.uri", b, path="p.q", z=w)')
    (found,) = result.attributes
    assert (found.name, found.arguments, dict(found.named)) == ("x", ("web.uri", "b"), {"path": "p.q", "z": "w"})
    assert (found.body, found.position) == ('"web.uri", b, path="p.q", z=w', ("project.cue", 2, 11))


async def test_attributes_are_found_wherever_fields_are(evaluate):
    result = await evaluate(
        """#D: d: _ @a(definition)
o: #D
p?: _ @a(optional)
_h: _ @a(hidden)
let L = {l: _ @a(let)}
m: L
list: [{x: _ @a(list)}]
for k in [1, 2] {"f\\(k)": _ @a(loop)}
b: {c: 1 @a(one)} | {c: 2 @a(two)}
q: _ @a(twice)
q: string
"""
    )
    assert {found.arguments[0]: found.paths for found in result.attributes} == {
        "definition": ("#D.d", "o.d"),
        "optional": ("p?",),
        "hidden": ("_h",),
        "let": ("m.l",),
        "list": ("list[0].x",),
        "loop": ("f1", "f2"),
        "one": (),
        "two": (),
        "twice": ("q",),
    }


async def test_unfilled_attributes_leave_fields_open(evaluate):
    result = await evaluate('image: string @artifact(web.uri)\nurl: "https://\\(image)"\nn: 1')
    assert (result.value, result.open) == ({"n": 1}, ["image", "url"])
    assert result.attributes[0].path == "image"


async def test_attributes_of_packages_in_error_are_still_told(evaluate):
    result = await evaluate("a: _ @artifact(web.uri)\nb: 1 & 2")
    assert [found.arguments for found in result.attributes] == [("web.uri",)]


async def test_fills_reach_every_place(evaluate):
    result = await evaluate(
        """#D: d: string @a(v)
o: #D
p?: string @a(v)
let L = {l: string @a(v)}
m: L
list: [{x: _ @a("v")}]
for k in [1, 2] {"f\\(k)": _ @a( v )}
text: "<\\(o.d)>"
default: *"x" | string @a(v)
""",
        require_concrete=True,
        fills=[Fill("a", "v", "FILLED")],
    )
    assert result.errors == []
    assert result.value == {
        "o": {"d": "FILLED"},
        "m": {"l": "FILLED"},
        "list": [{"x": "FILLED"}],
        "f1": "FILLED",
        "f2": "FILLED",
        "text": "<FILLED>",
        "default": "FILLED",
    }


async def test_fills_hold_any_json_value(evaluate):
    value = {"a-b": [1, 2.5, None, True, {"x": "\n\"'\\("}], "_h": {"#d": []}}
    result = await evaluate('a: _ @repo(path="a.b")', fills=[Fill("repo", 'path="a.b"', value)], require_concrete=True)
    assert result.value == {"a": value}


async def test_a_fill_that_does_not_fit_names_both_places(evaluate):
    result = await evaluate("a: int @artifact(web.uri)", fills=[Fill("artifact", "web.uri", "text")])
    assert [at[1:] for at in result.errors[0].positions] == [(2, 4), (2, 8)]


async def test_a_package_has_fills_of_its_own(evaluator):
    files = {"x.cue": "package p\na: _ @x(1)\nb: _ @y(1)"}
    instances = [Instance(name, "p", files, fills=[Fill("x", "1", name)]) for name in ("one", "two")]
    response = await evaluator.evaluate(EvaluationRequest(instances, fills=[Fill("x", "1", "all"), Fill("y", "1", 0)]))
    assert [result.value for result in response.results] == [{"a": "one", "b": 0}, {"a": "two", "b": 0}]
