from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_cue import format_path
from forge_project.durations import seconds
from forge_project.paths import PathError, available, lookup, split

# CUE writes the names of fields in the normal form NFC.
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(lambda text: normalize("NFC", text))


@given(st.lists(NAMES, min_size=1, max_size=1), st.lists(NAMES | st.integers(0, 10**6), max_size=5))
def test_path_of_the_evaluator_is_split_into_its_parts(first, rest):
    parts = (*first, *rest)
    assert split(format_path(parts)) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("web.uri", ("web", "uri")),
        ("'a.b'.c", ("a.b", "c")),
        ('"a.b".c', ("a.b", "c")),
        ("cli-tool.files[1].digest", ("cli-tool", "files", 1, "digest")),
    ],
)
def test_forms_of_paths(text, parts):
    assert split(text) == parts


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "'a", "a[x]", "a['b']", "'a''b'", "a]", "[0]x"])
def test_texts_that_are_no_paths(text):
    with pytest.raises(PathError):
        split(text)


@given(st.text())
def test_any_text_is_a_path_or_refused(text):
    try:
        parts = split(text)
    except PathError:
        return
    assert parts


def test_lookup_and_what_is_available():
    value = {"web": {"uri": "u", "files": [{"size": 1}]}}
    assert lookup(value, ["web", "files", 0, "size"]) == 1
    assert available(value, ["web", "url"]) == ["web.files", "web.uri"]
    assert available(value, ["web", "files", 3]) == ["web.files[0]"]
    with pytest.raises(KeyError):
        lookup(value, ["web", "files", 1])


@pytest.mark.parametrize(("text", "length"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2h", 7200), ("1h5s", 3605)])
def test_durations(text, length):
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "10", "1.5h", "10 m", "-1s", "1m1h", "1d"])
def test_texts_that_are_no_durations(text):
    with pytest.raises(ValueError, match="write 90s, 10m or 1h30m"):
        seconds(text)
