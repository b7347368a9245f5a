import subprocess

import pytest

from forge_cli.layout import Layout
from forge_cli.up.first_start import prepare


@pytest.fixture
def layout(tmp_path) -> Layout:
    return Layout(tmp_path / "data")


def test_first_start_decides_and_later_ones_keep(layout):
    first = prepare(layout, new_ports=False)
    (layout.config / "api.yaml").write_text("log: {level: debug}\n")
    key = layout.public_key.read_bytes()
    assert prepare(layout, new_ports=False) == first
    assert (layout.config / "api.yaml").read_text() == "log: {level: debug}\n"
    assert layout.public_key.read_bytes() == key


def test_new_ports_are_new_and_the_rest_stays(layout):
    first = prepare(layout, new_ports=False)
    key = layout.public_key.read_bytes()
    second = prepare(layout, new_ports=True)
    assert second.ports != first.ports
    assert layout.public_key.read_bytes() == key


def test_nothing_secret_is_readable_by_others(layout):
    prepare(layout, new_ports=False)
    private = [path for path in layout.data.rglob("*") if path.is_file() and layout.gitops not in path.parents]
    readable = [path.name for path in private if path.stat().st_mode & 0o077 and path != layout.public_key]
    assert readable == []


def test_gitops_repository_has_the_environments_in_its_first_commit(layout):
    prepare(layout, new_ports=False)
    listing = subprocess.run(
        ["git", "-C", layout.gitops, "ls-tree", "-r", "--name-only", "main"], capture_output=True, text=True, check=True
    )
    assert listing.stdout.split() == ["dev/env.yml", "production/env.yml"]
