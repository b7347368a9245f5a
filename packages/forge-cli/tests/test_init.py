import json
import subprocess
from pathlib import Path

import pytest

from forge_cli.exits import Exit
from forge_cli.init.inspection import candidates, inspect
from forge_cli.init.proposal import project_name, propose_project
from forge_cli.init.session import Initialization
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.discovery import RepositoryConfiguration
from forge_sdk.plugins.manager import Plugins

PYTHON = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "my.lib"
version = "1"
[dependency-groups]
unit = ["pytest>=8"]
"""
GO = {"go.mod": "module example.com/tool/v2\n\ngo 1.22\n", "cmd/tool/main.go": "package main\n"}
FOLDERS = {
    "python": {"pyproject.toml": PYTHON, "tests/test_a.py": ""},
    "go": GO,
    "site": {"index.html": "<h1>hi</h1>"},
    "public": {"public/index.html": "<h1>hi</h1>"},
    "mkdocs": {"mkdocs.yml": "site_name: docs\n"},
    "container": {"Dockerfile": "FROM scratch\n"},
    "scripts": {"tests/test_a.py": ""},
    "all": {"pyproject.toml": PYTHON, **GO, "index.html": "", "Dockerfile": ""},
    "nothing": {"README.md": ""},
}


def tree(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if ".git" not in path.parts and path.is_file()
    )


@pytest.fixture
def discovered(run_forge):
    def document(root: Path) -> dict[str, object]:
        return json.loads(run_forge("discover", str(root), "--json").output)

    return document


@pytest.mark.parametrize("kind", FOLDERS)
def test_what_is_written_for_a_folder_is_valid(write, process, kind):
    root = write(FOLDERS[kind])
    done = process("init", cwd=root)
    assert (done.returncode, done.stderr) == (Exit.SUCCESS, "")
    assert "wrote .forge/repo.cue\n" in done.stdout
    assert ("wrote .forge/project.cue\n" in done.stdout) is (kind != "nothing")
    assert process("validate", "--json", cwd=root).returncode == Exit.SUCCESS


@pytest.mark.parametrize(
    ("kind", "steps", "artifacts"),
    [
        ("python", {"lint": ["ruff"], "test": ["pytest"]}, {"wheel": "archive"}),
        ("go", {"lint": ["vet"], "test": ["go"]}, {"binary": "binary"}),
        ("site", {}, {"site": "archive"}),
        ("container", {}, {}),
        ("scripts", {"test": ["unittest"]}, {}),
    ],
)
def test_phases_and_artifacts_fit_the_folder(write, process, discovered, kind, steps, artifacts):
    root = write(FOLDERS[kind])
    process("init", cwd=root)
    (project,) = discovered(root)["projects"]
    found = {one["name"]: [step["name"] for wave in one["waves"] for step in wave] for one in project["phases"]}
    assert found == steps
    assert {one["name"]: one["type"] for one in project["artifacts"]} == artifacts


def test_pytest_is_run_as_the_project_declares_it(write, process, discovered):
    root = write(FOLDERS["python"])
    process("init", cwd=root)
    (project,) = discovered(root)["projects"]
    commands = [step["configuration"]["command"] for one in project["phases"] for wave in one["waves"] for step in wave]
    assert ["uv", "run", "--quiet", "--group", "unit", "pytest", "-q"] in commands


@pytest.mark.parametrize("kind", ["site", "public"])
def test_the_proposed_archive_of_a_site_can_be_built(write, process, discovered, kind):
    root = write(FOLDERS[kind])
    process("init", cwd=root)
    (artifact,) = discovered(root)["projects"][0]["artifacts"]
    subprocess.run(artifact["configuration"]["command"], cwd=root, check=True)
    listed = subprocess.run(["tar", "-tzf", "dist/site.tar.gz"], cwd=root, check=True, capture_output=True, text=True)
    assert "./index.html" in listed.stdout.splitlines()
    assert ".forge" not in listed.stdout


def test_a_dockerfile_without_producer_is_mentioned(write, process):
    root = write(FOLDERS["container"])
    assert "no producer for containers is installed" in process("init", cwd=root).stdout
    assert "// Dockerfile is not built" in (root / ".forge/project.cue").read_text()


def test_projects_get_the_publishers_of_the_repository(configured, write, process, discovered):
    write({"lib/pyproject.toml": PYTHON})
    done = process("init", "project", "lib", "--path", "lib")
    assert done.returncode == Exit.SUCCESS
    library = next(one for one in discovered(configured)["projects"] if one["name"] == "lib")
    assert [one["name"] for one in library["artifacts"][0]["publishers"]] == ["index"]
    assert [one["name"] for one in library["phases"]] == ["lint", "test"], "a required phase is never left out"


def test_folders_of_a_monorepo_are_suggested(write, process):
    root = write({"libs/a/pyproject.toml": PYTHON, "web site/index.html": "", "libs/a/docs/index.html": ""})
    shown = process("init", cwd=root).stdout
    assert "forge init project a --path libs/a\n" in shown
    assert "forge init project web-site --path 'web site'\n" in shown
    assert shown.count("forge init project") == 2
    assert 'strategy: "monorepo"' in (root / ".forge/repo.cue").read_text()


@pytest.mark.parametrize("arguments", [["init"], ["init", "repo"], ["init", "project", "api"]])
def test_nothing_is_overwritten(write, process, arguments):
    root = write({".forge/repo.cue": "// mine\npackage repo\n", ".forge/project.cue": "// mine\npackage project\n"})
    before = tree(root)
    done = process(*arguments, cwd=root)
    assert done.returncode == Exit.USAGE
    assert "never overwrites" in done.stderr
    assert tree(root) == before
    assert (root / ".forge/repo.cue").read_text().startswith("// mine")


def test_a_proposal_that_does_not_fit_is_not_written(configured, write, process):
    write({"lib/pyproject.toml": PYTHON})
    before = tree(configured)
    done = process("init", "project", "API", "--path", "lib")
    assert done.returncode == Exit.USAGE
    assert "'API'" in done.stderr
    assert tree(configured) == before


def test_mistakes_elsewhere_do_not_hinder(configured, write, change, process):
    change("services/api/.forge/project.cue", 'name: "api"', 'nme: "api"')
    write({"lib/pyproject.toml": PYTHON})
    assert process("init", "project", "lib", "--path", "lib").returncode == Exit.SUCCESS


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["project", "../x"], "no name of a project"),
        (["project", "x"], "forge init repo"),
        (["repo", "x"], "has no NAME"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_arguments_are_explained(repository, process, arguments, reason):
    done = process("init", *arguments, cwd=repository)
    assert done.returncode == Exit.USAGE
    assert reason in done.stderr
    assert not (repository / ".forge").exists()


def test_outside_of_a_repository_git_init_is_named(tmp_path, process):
    done = process("init", cwd=tmp_path)
    assert done.returncode == Exit.USAGE
    assert "git init" in done.stderr


def test_files_that_git_ignores_are_warned_of(write, process):
    root = write({".gitignore": ".forge\n", "index.html": ""})
    assert ".gitignore hides .forge/repo.cue" in process("init", cwd=root).stderr


def test_a_link_is_not_followed(write, process, tmp_path):
    root = write({"index.html": ""})
    (tmp_path / "elsewhere").mkdir()
    (root / ".forge").symlink_to(tmp_path / "elsewhere")
    done = process("init", cwd=root)
    assert done.returncode == Exit.USAGE
    assert "symbolic link" in done.stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_damaged_pyproject_is_named(write, process):
    root = write({"pyproject.toml": "[project"})
    done = process("init", cwd=root)
    assert done.returncode == Exit.USAGE
    assert "pyproject.toml is no TOML" in done.stderr


def test_only_installed_plugins_are_used(write):
    root = write(FOLDERS["all"])
    repository = RepositoryConfiguration(forge_version="v0.1.0", tagging_strategy="monorepo")
    proposal = propose_project("all", inspect(root), repository, Plugins(), "main")
    assert (proposal.steps, proposal.artifacts) == ({}, {})
    assert sum("not installed" in remark or "is installed" in remark for remark in proposal.remarks) == 5


def test_without_plugins_the_configuration_is_valid_too(write, monkeypatch):
    monkeypatch.setattr("forge_cli.init.session.installed_plugins", Plugins)
    root = write(FOLDERS["all"])
    from forge_cli.configuration.snapshot import Snapshot

    initialization = Initialization(Snapshot(root, {}))
    initialization.repository(single_project=True)
    initialization.project(root, None)
    assert "artifacts" not in (root / ".forge/project.cue").read_text()
    assert initialization.remarks


def test_a_folder_inside_of_another_is_no_candidate():
    files = ["a/pyproject.toml", "a/docs/index.html", "b/public/index.html", "ab/go.mod", "x/readme.md"]
    assert candidates(files) == ["a", "ab", "b"]


@pytest.mark.parametrize(
    ("text", "name"), [("my.lib", "my-lib"), ("--", "project"), ("ä", "project"), ("x" * 70, "x" * 63)]
)
def test_names_are_made_valid(text, name):
    assert project_name(text) == name


def test_a_file_written_meanwhile_is_kept(tmp_path):
    from forge_cli.init.writing import write_configuration

    (tmp_path / ".forge").mkdir()
    (tmp_path / ".forge" / "repo.cue").write_text("theirs")
    with pytest.raises(ConfigurationError, match="never overwrites"):
        write_configuration(tmp_path, {"repo.cue": "ours"})
    assert tree(tmp_path) == [".forge/repo.cue"]
    assert (tmp_path / ".forge/repo.cue").read_text() == "theirs"
