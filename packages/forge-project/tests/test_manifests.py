import io

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_project.rendering.manifests import manifest

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8)
# Readers disagree on these: booleans, octal, sexagesimal and float forms of YAML 1.1 and 1.2, dates, merge keys.
AMBIGUOUS = [
    "y", "N", "yes", "Off", "null", "Null", "~", "", "1", "1.10", "1e3", "1E3", "0o14", "014", "0x1F", "0b1", "1_000", "190:20:30",
    "12:30", ".5", ".inf", "-.INF", ".NaN", "2024-01-01", "2024-01-01T00:00:00Z", "<<", "=", "!x", "&a", "*a", "- a", "? a", "a: b",
    "a #b", "#c", "%d", "@e", "`f", "{g", "[h", "|", ">", "'", '"', " a", "a ", "\ta", "a\n", "\na", "a\r\nb", "a\n\n", "---", "...",
    "\ufeffa", "\x85", "\u2028", "\x07", "\U0001f600", "True", "nUll",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXTS, VALUES))
def test_what_is_written_is_read_again(resource):
    assert yaml.safe_load(io.BytesIO(manifest(resource))) == resource


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_ambiguous_texts_are_quoted(text):
    written = manifest({"key": text}).decode()
    assert written.startswith('key: "') or text == "a\n"
    assert yaml.safe_load(written) == {"key": text}


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_ambiguous_keys_are_quoted(text):
    assert yaml.safe_load(manifest({text: 1})) == {text: 1}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXTS, VALUES))
def test_order_of_keys_makes_no_difference(resource):
    assert manifest(dict(reversed(resource.items()))) == manifest(resource)


def test_equal_parts_are_written_out():
    shared = {"a": [1, 2]}
    assert b"&" not in manifest({"x": shared, "y": shared})


def test_scripts_stay_readable():
    assert manifest({"run": "set -e\n\nmake\n"}) == b"run: |\n  set -e\n\n  make\n"
