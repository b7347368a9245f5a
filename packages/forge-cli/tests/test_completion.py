import os
import subprocess
import sys

import pytest

PROJECT_FILE = "services/api/.forge/project.cue"


@pytest.fixture
def complete(configured):
    def completed(*words: str) -> list[str]:
        environment = {
            **os.environ,
            "_FORGE_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["forge", *words]),
            "COMP_CWORD": str(len(words)),
        }
        done = subprocess.run(
            [sys.executable, "-m", "forge_cli"], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stderr == ""
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    return completed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_ask_forge(process, shell):
    done = process("completion", shell)
    assert done.returncode == 0
    assert f"_FORGE_COMPLETE={shell}_complete" in done.stdout


def test_commands_and_options_are_completed(complete):
    assert complete("dis") == ["discover"]
    assert "--artifacts" in complete("render", "--a")
    assert complete("discover", "--event", "pu") == ["push", "pull_request"]


def test_names_of_projects_are_completed(complete, change):
    assert complete("render", "a") == ["api"]
    assert complete("render", "x") == []
    change(PROJECT_FILE, "release: on: [", "release: on: ")
    assert complete("render", "a") == ["api"], "also while there are mistakes"


def test_nothing_is_completed_outside_of_a_repository(complete, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complete("render", "a") == []
