import json
import subprocess
import sys
from pathlib import Path

import pytest

from forge_cli.exits import Exit

SNAPSHOT = Path(__file__).parent / "snapshots" / "problems.txt"
PROJECT_FILE = "services/api/.forge/project.cue"


def test_a_configuration_without_mistakes_is_counted(configured, run_forge):
    done = run_forge("validate")
    assert (done.return_value, done.output) == (Exit.SUCCESS, "1 project, no problems\n")


def test_problems_of_all_files_are_shown_as_a_compiler_does(configured, change, write, run_forge):
    change(".forge/repo.cue", 'description: "Style"', 'descripton: "Style"')
    change(PROJECT_FILE, 'unit: {action: "command"', 'unit: {action: "comand"')
    change(PROJECT_FILE, 'branch: "main"', 'branch: "("')
    write(
        {
            "tools/.forge/project.cue": 'package project\n\nname: "tools"\nci: phases: test: x: {\n\taction: "command" command\n}\n'
        }
    )
    done = run_forge("validate")
    assert done.return_value == Exit.USAGE
    assert done.output == SNAPSHOT.read_text()


def test_files_can_be_opened_from_the_current_folder(configured, change, run_forge, monkeypatch):
    change(PROJECT_FILE, 'name: "api"', "name: 7")
    monkeypatch.chdir(configured / "services")
    assert run_forge("validate").output.startswith("api/.forge/project.cue:3:7: error: ")
    assert run_forge("validate", str(configured)).output.startswith("api/.forge/project.cue:3:7: error: ")


def test_the_document_is_versioned_and_has_every_problem(configured, change, run_forge):
    change(PROJECT_FILE, 'name: "api"', "nme: 7")
    report = json.loads(run_forge("validate", "--json").output)
    assert (report["schemaVersion"], report["valid"], report["repository"]) == ("1.0", False, str(configured))
    problem = next(one for one in report["problems"] if one["path"] == "nme")
    assert (problem["file"], problem["line"], problem["column"]) == (PROJECT_FILE, 3, 1)
    assert problem["hint"] == "did you mean 'name'?"
    assert report["problemCount"] == len(report["problems"])


def test_the_document_of_a_valid_configuration(configured, run_forge):
    report = json.loads(run_forge("validate", "--json").output)
    assert report == {
        "schemaVersion": "1.0",
        "repository": str(configured),
        "commitSha": None,
        "valid": True,
        "projects": 1,
        "problemCount": 0,
        "problems": [],
        "warnings": [],
    }


def test_warnings_are_shown_and_are_no_failure(configured, change, run_forge):
    change(".forge/repo.cue", "v0.1.0", "v0.9.0")
    done = run_forge("validate")
    assert done.return_value == Exit.SUCCESS
    assert ".forge/repo.cue:3:1: warning: forgeVersion: " in done.output
    assert done.output.endswith("1 project, no problems, 1 warning\n")


def test_a_commit_is_validated_and_not_the_working_tree(configured, change, commit, run_forge):
    sha = commit()
    change(PROJECT_FILE, "release: on", "release: no")
    assert run_forge("validate", "--commit", sha[:10]).return_value == Exit.SUCCESS
    assert run_forge("validate").return_value == Exit.USAGE
    assert json.loads(run_forge("validate", "--json", "--commit", "main").output)["commitSha"] == sha


def test_source_lines_are_those_of_the_commit(configured, change, commit, run_forge):
    change(PROJECT_FILE, 'name: "api"', "name: 7")
    sha = commit()
    change(PROJECT_FILE, "name: 7", 'name: "api"')
    assert "    name: 7\n          ^\n" in run_forge("validate", "--commit", sha).output


@pytest.mark.parametrize("revision", ["0" * 40, "no-such-branch", "--help"])
def test_an_unknown_commit_is_a_configuration_error(configured, process, revision):
    done = process("validate", f"--commit={revision}")
    assert done.returncode == Exit.USAGE
    assert "names no commit" in done.stderr


def test_ignored_files_do_not_count_and_untracked_ones_do(configured, write, run_forge):
    write({"build/.forge/project.cue": "package project\nname: 1\n"})
    assert run_forge("validate").return_value == Exit.USAGE
    write({".gitignore": "build/\n"})
    assert run_forge("validate").return_value == Exit.SUCCESS


def test_a_repository_without_configuration_has_nothing_wrong(repository, run_forge):
    done = run_forge("validate", str(repository))
    assert done.return_value == Exit.SUCCESS
    assert "forge init" in done.output


@pytest.mark.parametrize(
    "text",
    ["package project\n\x00", "\xff\xfe", "package project\nname: [" * 3, "package project\na: a: a\nname: {#D: #D}\n"],
)
def test_broken_files_give_no_traceback(configured, process, text):
    (configured / PROJECT_FILE).write_bytes(text.encode("latin-1"))
    done = process("validate")
    assert done.returncode == Exit.USAGE
    assert f"{PROJECT_FILE}:" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "goroutine" not in done.stdout + done.stderr


def test_exit_codes_of_the_process(configured, change, process, tmp_path):
    assert process("validate").returncode == Exit.SUCCESS
    assert process("validate", tmp_path / "missing").returncode == Exit.USAGE
    assert process("validate", tmp_path).returncode == Exit.USAGE
    change(PROJECT_FILE, "package project", "package wrong")
    done = process("validate")
    assert done.returncode == Exit.USAGE
    assert "\x1b" not in done.stdout


def test_validate_starts_without_what_only_a_platform_needs(configured, process):
    program = (
        "import sys; sys.argv = ['forge', 'validate']\nfrom forge_cli.main import main\n"
        "try: main()\nexcept SystemExit: print([m for m in ('aiohttp', 'rich', 'forge_sdk.client') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
