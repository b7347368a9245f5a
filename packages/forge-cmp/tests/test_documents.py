import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_cmp.documents import read_documents
from forge_cmp.errors import CmpError
from forge_cmp.rendering import render, stream

SCALARS = st.text(max_size=20) | st.integers() | st.booleans() | st.none()
OBJECTS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.sampled_from(["Secret", "ConfigMap"]),
        "metadata": st.fixed_dictionaries({"name": st.from_regex("[a-z]{1,5}", fullmatch=True)}),
        "data": st.dictionaries(st.text(max_size=8), st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3))),
    }
)


@settings(deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=5), st.booleans(), st.booleans())
def test_what_ordinary_tools_write_comes_out_as_it_went_in(objects, flow, unicode):
    content = yaml.safe_dump_all(objects, default_flow_style=flow, allow_unicode=unicode).encode()
    documents = read_documents(content, "a.yaml")
    assert list(yaml.safe_load_all(stream(documents).decode())) == list(yaml.safe_load_all(content))


@settings(deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=6))
def test_the_order_does_not_depend_on_files(objects):
    one = {"a.yaml": yaml.safe_dump_all(objects).encode()}
    many = {f"{number:03}.yaml": yaml.safe_dump(value).encode() for number, value in enumerate(objects)}
    assert list(yaml.safe_load_all(render(one))) == list(yaml.safe_load_all(render(many)))


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        documents = read_documents(text.encode(errors="surrogatepass"), "a.yaml")
    except CmpError:
        return
    for document in documents:
        assert read_documents(stream([document]), "b.yaml")[0].value == document.value


@pytest.mark.parametrize(
    "text",
    [
        "  a: 1\n  b: 2\n",
        "a: 1\n...\n---\nb: 2\n",
        "--- {a: 1}\n--- {b: 2}\n",
        "# one\na: 1\n# two\n---\n# three\nb: |\n  text\n",
        "a: 1\r\n---\r\nb: 2\r\n",
        "---foo: 1\n---\n---bar: 2\n",
    ],
)
def test_documents_are_cut_where_they_end(text):
    documents = read_documents(text.encode(), "a.yaml")
    expected = [value for value in yaml.safe_load_all(text) if value is not None]
    assert list(yaml.safe_load_all(stream(documents).decode())) == expected


def test_json_is_yaml():
    content = b'{"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}}'
    assert yaml.safe_load(render({"a.json": content}))["kind"] == "A"
