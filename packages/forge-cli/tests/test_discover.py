import json

import pytest

from forge_cli.configuration.overview import duration
from forge_cli.exits import Exit
from forge_sdk.models.discovery import DiscoveryDocument

PROJECT_FILE = "services/api/.forge/project.cue"


def test_the_json_is_exactly_the_discovery_document(configured, run_forge):
    output = run_forge("discover", "--json").output
    document = DiscoveryDocument.model_validate_json(output)
    assert output == document.model_dump_json(indent=2) + "\n"
    assert json.loads(output)["schemaVersion"] == "1.0"
    assert document.release_projects == ("api",)


def test_the_overview(configured, run_forge):
    assert (
        run_forge("discover").output
        == """\
version v0.1.0, tagging monorepo

phases
  group 1  lint  Style (timeout 30m)
  group 2  test  (timeout 1m30s, required)

publishers
  index  pypi

project api in services/api
  phase test
    wave 1: unit (command)
    wave 2: report (command)
  artifacts
    wheel  archive  built by python, published to index
  release: triggered by branch main
  deployment: yes

a run of branch main (event manual) releases api
"""
    )


@pytest.mark.parametrize(
    ("options", "released"),
    [
        (["--branch", "main"], ["api"]),
        (["--branch", "feature"], []),
        (["--branch", "main", "--event", "pull_request"], []),
        (["--tag", "api/v1.0.0", "--event", "tag"], ["api"]),
        (["--tag", "other/v1.0.0"], []),
        (["--branch", "main", "--event", "tag"], []),
    ],
)
def test_release_triggers_follow_the_git_context(configured, run_forge, options, released):
    assert json.loads(run_forge("discover", "--json", *options).output)["releaseProjects"] == released


def test_the_branch_of_a_commit_is_not_guessed(configured, commit, run_forge):
    sha = commit()
    assert json.loads(run_forge("discover", "--json", "--commit", sha).output)["releaseEnabled"] is False


def test_a_commit_gives_what_its_checkout_gives(configured, commit, run_forge):
    tree = run_forge("discover", "--json", "--branch", "main").output
    assert run_forge("discover", "--json", "--branch", "main", "--commit", commit()).output == tree


def test_problems_go_to_standard_error(configured, change, process):
    change(PROJECT_FILE, 'action: "command"', 'action: "comand"')
    done = process("discover", "--json")
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert f"{PROJECT_FILE}:5:9: error: " in done.stderr
    assert done.stderr.endswith("2 problems in 1 file\n")


def test_a_repository_without_configuration_has_no_projects(repository, run_forge):
    done = run_forge("discover", "--json", str(repository))
    assert done.return_value == Exit.SUCCESS
    assert json.loads(done.output)["projects"] == []
    assert "forge init" in run_forge("discover", str(repository)).output


@pytest.mark.parametrize(("seconds", "text"), [(90, "1m30s"), (1800, "30m"), (5400, "1h30m"), (0, "0s"), (3600, "1h")])
def test_durations_are_written_as_in_configurations(seconds, text):
    assert duration(seconds) == text
