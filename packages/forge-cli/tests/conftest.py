import subprocess
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
