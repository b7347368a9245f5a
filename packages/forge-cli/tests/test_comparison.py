"""What a deployment would change."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from forge_cli.releases.comparison import compare
from forge_cli.releases.images import documents


def config_map(name, version="1", **metadata):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": {"version": version},
    }


def shown(before, after):
    return [(found.change, str(found.object)) for found in compare(before, after)]


def test_deletions_come_first_then_changes_then_additions():
    before = [config_map("a"), config_map("z"), config_map("same")]
    after = [config_map("a", "2"), config_map("b"), config_map("same")]
    assert shown(before, after) == [
        ("deleted", "ConfigMap z"),
        ("changed", "ConfigMap a"),
        ("added", "ConfigMap b"),
    ]


def test_a_change_shows_its_lines_with_their_surroundings():
    [found] = compare([config_map("a")], [config_map("a", "2")])
    assert [line for line in found.lines if line[0] in "+-"] == ["-  version: '1'", "+  version: '2'"]


def test_objects_of_other_namespaces_are_others():
    before, after = [config_map("a", namespace="blue")], [config_map("a", namespace="green")]
    assert shown(before, after) == [("deleted", "ConfigMap blue/a"), ("added", "ConfigMap green/a")]


def test_another_api_version_is_a_change_of_the_same_object():
    assert shown([config_map("a")], [{**config_map("a"), "apiVersion": "v2"}]) == [("changed", "ConfigMap a")]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123")),
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123")),
)
def test_every_object_that_differs_is_told_once(before, after):
    found = compare([config_map(*item) for item in before.items()], [config_map(*item) for item in after.items()])
    names = [difference.object.name for difference in found]
    assert sorted(names) == sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def test_documents_of_all_files_are_read_in_the_order_of_their_names():
    files = {"b.yaml": yaml.safe_dump(config_map("b")).encode(), "a.yaml": b"---\nkind: X\n---\nkind: Y\n---\n"}
    assert [document["kind"] for document in documents(files)] == ["X", "Y", "ConfigMap"]


def test_objects_of_python_are_not_made():
    with pytest.raises(yaml.YAMLError):
        documents({"a.yaml": b"!!python/object/apply:os.system ['true']"})
