"""Plugins as distributions on the path, each written by the test."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from forge_sdk.errors import PlatformError
from forge_sdk.plugins.manager import load_plugins

GOOD = """
from forge_sdk.plugins import hookimpl
from forge_sdk.plugins.contracts import StepResult
from forge_sdk.models.base import ClosedModel

class Configuration(ClosedModel):
    pass

class Action:
    name = "{name}"
    schema = "{{}}"
    configuration = Configuration
    settings = None
    async def run(self, request, context):
        return StepResult(0)

@hookimpl
def forge_step_actions():
    return [Action()]
"""


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, source: str, requires: str = "catalyst-forge-sdk>=0.1,<0.2") -> None:
        module = f"plugin_{self.folder.parent.name.replace('-', '_')}_{name}"
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {requires}\n"
        )
        (info / "entry_points.txt").write_text(f"[catalyst_forge]\n{name} = {module}\n")

    def load(self):
        distributions = importlib.metadata.distributions(path=[str(self.folder)])
        points = [point for found in distributions for point in found.entry_points if point.group == "catalyst_forge"]
        return load_plugins(points)


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield Site(folder)
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_installed_plugins_are_found_with_their_distribution(site):
    site.install("good", GOOD.format(name="lint"))
    plugins = site.load()
    assert plugins.step_action("lint").name == "lint"
    described = plugins.descriptions[0]
    assert (described.kind, described.name, described.distribution, described.version) == (
        "step action",
        "lint",
        "good",
        "1.0",
    )
    assert plugins.problems == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise RuntimeError('at import')", "can't be loaded: RuntimeError: at import"),
        ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
        ("x = 1", "declares nothing"),
        (GOOD.format(name="a").replace('    schema = "{}"\n', ""), "Action, which lacks schema"),
        (GOOD.format(name="a").replace("forge_step_actions", "forge_step_aktions"), "forge_step_aktions"),
        (GOOD.format(name="a").replace("return [Action()]", "raise ValueError('in the hook')"), "in the hook"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_others_work(site, source, message):
    site.install("broken", source)
    site.install("good", GOOD.format(name="lint"))
    plugins = site.load()
    assert list(plugins.step_actions) == ["lint"]
    assert [problem.distribution for problem in plugins.problems] == ["broken"]
    assert message in plugins.problems[0].message


def test_two_plugins_of_one_name_name_both_distributions(site):
    site.install("first", GOOD.format(name="lint"))
    site.install("second", GOOD.format(name="lint"))
    plugins = site.load()
    assert list(plugins.step_actions) == ["lint"]
    assert "already provided by first 1.0" in plugins.problems[0].message
    assert "second 1.0" in plugins.problems[0].message


@pytest.mark.parametrize(
    "requires",
    [
        "catalyst-forge-sdk>=7,<8",
        "Catalyst_Forge.SDK (<8,>=7)",
        "catalyst-forge-sdk[telemetry]>=7,<8",
        'catalyst-forge-sdk>=7,<8; python_version > "3"',
    ],
)
def test_a_plugin_for_another_major_version_is_refused(site, requires):
    site.install("old", GOOD.format(name="lint"), requires=requires)
    plugins = site.load()
    assert plugins.step_actions == {}
    assert "written for catalyst-forge-sdk <8,>=7, installed is 0.1.0" in plugins.problems[0].message


def test_a_missing_plugin_says_what_is_installed(site):
    site.install("good", GOOD.format(name="lint"))
    with pytest.raises(PlatformError, match=r"no step action 'lnit' is installed \(installed: lint\)"):
        site.load().step_action("lnit")
