"""What the documentation and the examples configure is valid."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```cue\n// (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^```cue$", re.MULTILINE)


def forge(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forge_cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def git_repository(folder: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", folder], check=True)
    return folder


@pytest.mark.parametrize("page", ["configuration.md", "first-repository.md"])
def test_configurations_of_the_documentation_are_valid(tmp_path, page):
    text = (ROOT / "docs" / page).read_text()
    blocks = BLOCK.findall(text)
    assert len(blocks) == len(ANY_BLOCK.findall(text)), "every block names its file in a comment"
    for name, content in blocks:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    done = forge(git_repository(tmp_path), "validate", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["projects"] == len(blocks) - 1


def test_every_field_of_the_schema_is_documented():
    page = (ROOT / "docs" / "configuration.md").read_text()
    tables = "".join(line for line in page.splitlines(keepends=True) if line.startswith("|"))
    schema = ROOT / "packages" / "forge-project" / "src" / "forge_project" / "schema" / "v1"
    for name in ("repository.cue", "project.cue"):
        for field in re.findall(r"^\t*([a-zA-Z]+)[?!]:", (schema / name).read_text(), re.MULTILINE):
            assert re.search(rf"\b{field}\b", tables), f"{field} of {name} is missing in docs/configuration.md"


def test_the_example_shop_is_valid_and_complete(tmp_path):
    shop = tmp_path / "shop"
    shutil.copytree(ROOT / "examples" / "shop", shop)
    done = forge(git_repository(shop), "discover", "--json", "--branch", "main")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    artifacts = {one["name"]: [artifact["type"] for artifact in one["artifacts"]] for one in document["projects"]}
    assert artifacts == {"api": ["archive"], "money": ["archive"], "site": ["archive"], "till": ["binary"]}
    assert all([phase["name"] for phase in one["phases"]] == ["lint", "test", "build"] for one in document["projects"])
    assert sorted(document["releaseProjects"]) == sorted(artifacts)


@pytest.mark.parametrize("project", ["site", "tools/till"])
def test_scripts_of_the_shop_build_the_same_bytes_and_pass_their_tests(tmp_path, project):
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "shop" / project, folder)
    built = []
    for name in ("first.tar.gz", "second.tar.gz"):
        subprocess.run([sys.executable, "build.py", f"dist/{name}"], cwd=folder, check=True)
        built.append((folder / "dist" / name).read_bytes())
    assert built[0] == built[1]
    tests = [str(path.relative_to(folder)) for path in folder.glob("tests/test_*.py")]
    subprocess.run([sys.executable, "-m", "unittest", *tests], cwd=folder, check=True, capture_output=True)
