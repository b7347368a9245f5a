import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from forge_cli.main import forge

AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *AUTHOR, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "my shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "file").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


REPOSITORY = """package repo

forgeVersion: "v0.1.0"
tagging: strategy: "monorepo"
phases: {
	lint: {group: 1, description: "Style"}
	test: {group: 2, timeout: "90s", required: true}
}
publishers: index: {type: "pypi", index_url: "https://packages.example/simple/"}
"""

PROJECT = """package project

name: "api"
ci: phases: test: {
	unit: {action: "command", command: ["pytest"], priority: 5}
	report: {action: "command", command: ["true"]}
}
artifacts: wheel: {
	type: "archive"
	producer: python: {}
	publishers: index: {}
}
release: on: [{branch: "main"}, {tag: true}]
deployment: resources: [{
	apiVersion: "v1"
	kind:       "ConfigMap"
	metadata: name: "api"
	data: version: string @artifact("wheel.publishers.index.version")
}, {
	apiVersion: "v1"
	kind:       "Service"
	metadata: name: "api"
	spec: ports: [{port: 80}]
}]
"""

PROJECT_FILE = "services/api/.forge/project.cue"


@pytest.fixture
def write(repository: Path) -> Callable[[Mapping[str, str]], Path]:
    """Writes files into the repository, without a commit."""

    def written(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            file = repository / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return repository

    return written


@pytest.fixture
def configured(write, monkeypatch) -> Path:
    """The repository with a project that has no mistakes; the current folder is its root."""
    root = write({".forge/repo.cue": REPOSITORY, PROJECT_FILE: PROJECT})
    monkeypatch.chdir(root)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return root


@pytest.fixture
def change(configured) -> Callable[[str, str, str], None]:
    """Replaces a text in a file of the configured repository."""

    def changed(file: str, old: str, new: str) -> None:
        path = configured / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return changed


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `forge` as a process."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "forge_cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)

    return run


@pytest.fixture
def commit(repository: Path) -> Callable[[], str]:
    """Commits everything and gives the SHA."""

    def committed() -> str:
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "change")
        return git(repository, "rev-parse", "HEAD")

    return committed


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FORGE_API_URL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def run_forge():
    """Run `forge` in this process: exit code, output, and the error that would be reported."""

    def run(*arguments: str):
        return CliRunner().invoke(forge, arguments, standalone_mode=False)

    return run
