"""Properties of rendering, with the real evaluator."""

import asyncio
import json
import unicodedata

import pytest
import yaml
from forge_cue import Evaluator
from forge_project import ProjectComponent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATH = "services/shop"
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Co", "Cn"]), max_size=30)
# CUE writes the names of fields in the normal form NFC.
LABELS = TEXTS.map(lambda text: unicodedata.normalize("NFC", text))
DATA = st.dictionaries(LABELS, TEXTS | st.integers(-(2**63), 2**63) | st.booleans(), max_size=5)


@pytest.fixture(scope="module")
def loop():
    with asyncio.Runner() as runner:
        evaluator = Evaluator(processes=1)
        yield runner, evaluator
        runner.run(evaluator.aclose())


def project_text(resources):
    listed = ", ".join(
        f'{{apiVersion: "v1", kind: "ConfigMap", metadata: name: {json.dumps(name)}, data: {json.dumps(data)}, '
        'filled: _ @artifact("web.uri"), left: "as it is"}'
        for name, data in resources.items()
    )
    return (
        'package project\nname: "a"\nci: phases: check: a: {action: "command", command: ["x"]}\n'
        f"deployment: resources: [{listed}]\n"
    )


def rendered(loop, plugins, tree, files, uri):
    runner, evaluator = loop
    component = ProjectComponent(plugins, evaluator)
    return runner.run(component.render(tree(files), PATH, {"web": {"uri": uri}}))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(resources=st.dictionaries(NAMES, DATA, min_size=1, max_size=4), uri=TEXTS)
def test_filling_changes_nothing_else_and_is_deterministic(loop, plugins, tree, files, resources, uri):
    files = {**files, f"{PATH}/.forge/project.cue": project_text(resources)}
    found = rendered(loop, plugins, tree, files, uri)
    assert found == rendered(loop, plugins, tree, files, uri)
    assert set(found) == {f"configmap-{name}.yaml" for name in resources}
    for name, data in resources.items():
        assert yaml.safe_load(found[f"configmap-{name}.yaml"]) == {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": data,
            "filled": uri,
            "left": "as it is",
        }
