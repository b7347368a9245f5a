"""Properties of discovery and rendering, with the real evaluator and real repositories."""

import json
import math
import subprocess
import tempfile
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_project import CommitTree, WorkingTree
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.jobs import GitContext

PATH = "services/shop"
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Co", "Cn"]), max_size=30)
# CUE writes the names of fields in the normal form NFC.
LABELS = TEXTS.map(lambda text: unicodedata.normalize("NFC", text))
SCALARS = (
    TEXTS | st.integers(-(2**63), 2**63) | st.booleans() | st.none() | st.floats(-1e15, 1e15).filter(math.isfinite)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LABELS, inner, max_size=3), max_leaves=8
)
RELAXED = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}

FOLDERS = st.lists(st.sampled_from(["a", "b", "deep", "größe", "x y", ".hidden", "node_modules"]), max_size=3)
PROJECTS = st.sampled_from(
    [
        'package project\nname: "NAME"\n',
        'package project\nname: "NAME"\nci: phases: check: a: {action: "command", command: ["x"]}\n',
        'package project\nname: "NAME"\nnmae: 1\n',
        'package project\nname: "same"\n',
        "package project\nname: (\n",
        "\xff",
    ]
)
INSIDE = st.sampled_from(
    [".forge/project.cue"] * 4
    + [
        ".forge/other.cue",
        ".forge/repo.cue",
        ".forge/templates/project.cue",
        ".forge/.forge/project.cue",
        "project.cue",
    ]
)
IGNORED = st.sampled_from(["", "a/\n", "*.cue\n", ".forge\n", "**/deep\n"])


@st.composite
def trees(draw):
    """Files of a repository: any arrangement of projects, and of what looks like one."""
    found = {".gitignore": draw(IGNORED)}
    for folders, inside, text in draw(st.lists(st.tuples(FOLDERS, INSIDE, PROJECTS), max_size=6)):
        path = "/".join([*folders, inside])
        found[path] = text.replace("NAME", f"p{len(found)}")
    return found


@settings(max_examples=25, **RELAXED)
@given(tree=trees())
async def test_commit_and_clean_checkout_are_discovered_the_same(component, run_git, tree):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "made"
        commit = make_repository(root, tree, run_git)
        run_git(Path(folder), "clone", "-q", str(root), "clean")
        from_commit = await discovered(component, CommitTree(root / ".git", commit))
        assert from_commit == await discovered(component, WorkingTree(Path(folder) / "clean"))


def make_repository(root, tree, run_git):
    root.mkdir()
    repository = 'package repo\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\nphases: check: group: 1\n'
    for path, text in {**tree, ".forge/repo.cue": repository}.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("latin-1" if "\xff" in text else "utf-8"))
    run_git(root, "init", "-q", "-b", "main")
    run_git(root, "add", "-A", "-f")
    run_git(root, "commit", "-q", "-m", "first")
    return run_git(root, "rev-parse", "HEAD")


async def discovered(component, source):
    try:
        return (await component.discover(source, GitContext(event="push", branch="main"))).model_dump()
    except ConfigurationError as error:
        return error.code, error.context


def project_text(resources):
    listed = ", ".join(
        f'{{apiVersion: "example.org/v1", kind: "Thing", metadata: name: {json.dumps(name)}, data: {json.dumps(data)}, '
        'filled: _ @artifact("web.any"), nested: [{deep: _ @artifact(web.any), left: 1}], text: "\\(_uri)!", left: _left}'
        for name, data in resources.items()
    )
    return (
        'package project\nname: "a"\n_left: "as it is"\n_uri: string @artifact("web.uri")\n'
        f'ci: phases: check: a: {{action: "command", command: ["x"]}}\ndeployment: resources: [{listed}]\n'
    )


@settings(max_examples=25, **RELAXED)
@given(
    resources=st.dictionaries(NAMES, st.dictionaries(LABELS, VALUES, max_size=4), min_size=1, max_size=3),
    filled=VALUES,
    uri=TEXTS,
)
async def test_filling_changes_nothing_else_and_is_deterministic(component, tree, files, resources, filled, uri):
    source = tree({**files, f"{PATH}/.forge/project.cue": project_text(resources)})
    artifacts = {"web": {"uri": uri, "any": filled}}
    found = await component.render(source, PATH, artifacts)
    assert found == await component.render(source, PATH, artifacts)
    assert set(found) == {f"thing-{name}.yaml" for name in resources}
    for name, data in resources.items():
        assert yaml.safe_load(found[f"thing-{name}.yaml"]) == {
            "apiVersion": "example.org/v1",
            "kind": "Thing",
            "metadata": {"name": name},
            "data": data,
            "filled": filled,
            "nested": [{"deep": filled, "left": 1}],
            "text": f"{uri}!",
            "left": "as it is",
        }


@settings(max_examples=15, **RELAXED)
@given(names=st.lists(NAMES, min_size=2, max_size=5, unique=True), data=st.data())
async def test_order_of_resources_changes_no_file(component, tree, files, names, data):
    shuffled = data.draw(st.permutations(names))
    artifacts = {"web": {"uri": "u", "any": 1}}
    rendered = [
        await component.render(
            tree({**files, f"{PATH}/.forge/project.cue": project_text({name: {"n": name} for name in order})}),
            PATH,
            artifacts,
        )
        for order in (names, shuffled)
    ]
    assert rendered[0] == rendered[1]


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_schema_is_the_same_in_every_process(hash_seed):
    program = (
        "from forge_project import compose; from forge_sdk.plugins.manager import Plugins; print(compose(Plugins()))"
    )
    made = subprocess.run(
        ["python", "-c", program], env={"PYTHONHASHSEED": hash_seed, "PATH": _path()}, capture_output=True, check=True
    )
    from forge_project import compose
    from forge_sdk.plugins.manager import Plugins

    assert made.stdout.decode().strip() == str(compose(Plugins()))


def _path():
    import sys

    return str(Path(sys.executable).parent)
