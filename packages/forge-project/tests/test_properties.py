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
def runner():
    with asyncio.Runner() as found:
        yield found


@pytest.fixture
def rendered(runner, plugins, tree, files):
    """Renders resources, all examples with one evaluator."""
    evaluator = Evaluator(processes=1)
    component = ProjectComponent(plugins, evaluator)

    def render(resources, uri):
        changed = {**files, f"{PATH}/.forge/project.cue": project_text(resources)}
        return runner.run(component.render(tree(changed), PATH, {"web": {"uri": uri}}))

    yield render
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


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(resources=st.dictionaries(NAMES, DATA, min_size=1, max_size=4), uri=TEXTS)
def test_filling_changes_nothing_else_and_is_deterministic(rendered, resources, uri):
    found = rendered(resources, uri)
    assert found == rendered(resources, uri)
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
