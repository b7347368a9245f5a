"""What `forge logs -f`, `forge run` and `forge retry` say."""

import uuid

import pytest
from click.testing import CliRunner

from forge_cli.following import named
from forge_cli.log_places import LogPlace, Wanted, places
from forge_cli.main import forge
from forge_cli.outcome import report
from forge_cli.progress import fitted, run_lines
from forge_sdk.models.api import Run

NOW = "2026-01-01T00:00:00+00:00"
LATER = "2026-01-01T00:00:02.500+00:00"


def identifier(number: int) -> str:
    return str(uuid.UUID(int=number))


def task(number: int, status: str) -> dict:
    step = {"id": identifier(1000 + number), "name": "unit", "action": "command", "status": status, "exit_code": 7}
    return {
        "id": identifier(number),
        "project": f"p{number:03}",
        "project_path": ".",
        "status": status,
        "started_at": NOW,
        "completed_at": LATER,
        "steps": [{**step, "logs_available": True}],
    }


def run(status: str, tasks: list[dict], **more) -> Run:
    phase = {"id": identifier(1), "name": "test", "group": 1, "status": "running", "tasks": tasks}
    return Run.model_validate(
        {
            "id": identifier(0),
            "repository": "acme/shop",
            "commit_sha": "a" * 40,
            "attempt": 2,
            "trigger_type": "push",
            "triggered_by": "alice",
            "created_at": NOW,
            "status": status,
            "phases": [phase],
            **more,
        }
    )


def test_a_hundred_projects_fit_into_a_terminal():
    tasks = [task(number, "success") for number in range(80)]
    tasks += [task(number, "running") for number in range(80, 95)]
    tasks += [task(95, "failed"), *(task(number, "pending") for number in range(96, 100))]
    shown = fitted(list(run_lines(run("running", tasks))), 24)
    texts = [line.text for line in shown]
    assert len(shown) == 24
    assert "phase test (81 of 100 tasks, 1 failed)" in texts
    assert any("p095 unit" in text for text in texts)
    assert any("p080" in text for text in texts)
    assert not any("p000" in text for text in texts)
    assert texts[-1].endswith("more")


def test_a_run_that_waits_says_for_which():
    found = run("running", [], waiting_for=identifier(9))
    assert any(line.text == f"for the end of run {identifier(9)}" for line in run_lines(found))


def test_the_end_says_what_failed_in_which_attempt_and_how_to_go_on(capsys):
    error = {"code": "run_failed", "message": "phase test failed in project p001"}
    assert report(run("failed", [task(1, "failed"), task(2, "success")], error=error)) == 1
    said = capsys.readouterr().err
    assert f"run {identifier(0)} of acme/shop@aaaaaaaaaaaa failed in attempt 2" in said
    assert "error: phase test failed in project p001" in said
    assert "failed: task p001 in phase test, step unit (exit code 7) after 2.5 s" in said
    assert f"logs: forge logs {identifier(0)} --failed" in said
    assert f"go on: forge retry {identifier(0)} --failed" in said


OTHER = identifier(77)
RELEASE = {"release_id": identifier(60), "project": "api", "commit_sha": "a" * 40}
DEPLOYMENT = {
    "id": identifier(70),
    "environment": "dev",
    "repository": "acme/shop",
    "project": "api",
    "slug": "shop-api",
    "release_id": identifier(60),
    "commit_sha": "a" * 40,
    "release_number": 4,
    "deployed_by": "alice",
    "created_at": NOW,
}
RETRY = f"go on: forge retry {identifier(0)}"


def job_log(phase: str, project: str) -> dict:
    return {"id": identifier(50), "phase": phase, "project": project, "step": "x"}


@pytest.mark.parametrize(
    ("found", "said", "unsaid"),
    [
        pytest.param(
            run("failed", [task(1, "failed"), task(2, "cancelled"), task(3, "skipped"), task(4, "skipped")]),
            ["failed: task p001", "cancelled: 1 task", "never started: 2 tasks", f"{RETRY} --failed"],
            [],
            id="a failed task",
        ),
        pytest.param(
            run("cancelled", [task(1, "cancelled")], error={"code": "cancelled", "message": "cancelled by alice"}),
            ["error: cancelled by alice", "cancelled: 1 task", f"{RETRY} --failed"],
            ["failed:"],
            id="cancelled",
        ),
        pytest.param(
            run("cancelled", [], superseded_by=OTHER), [f"go on: forge run --watch {OTHER}"], [RETRY], id="superseded"
        ),
        pytest.param(
            run(
                "failed",
                [],
                phases=[],
                logs=[job_log("discovery", "repository")],
                error={
                    "code": "run_failed",
                    "message": "discovery failed",
                    "cause": {"code": "configuration_invalid", "message": "project.cue:1:1: bad"},
                },
            ),
            ["because project.cue:1:1: bad", "--phase discovery", "go on: correct the configuration"],
            [RETRY],
            id="a wrong configuration",
        ),
        pytest.param(
            run(
                "failed",
                [],
                phases=[],
                error={
                    "code": "run_failed",
                    "message": "discovery failed",
                    "cause": {"code": "worker_lost", "message": "3 workers were lost"},
                },
            ),
            ["because 3 workers were lost", RETRY],
            ["correct the configuration", "--failed"],
            id="lost workers",
        ),
        pytest.param(
            run("errored", [], error={"code": "unavailable", "message": "no worker took the job"}),
            ["errored in attempt 2", "error: no worker took the job", RETRY],
            [],
            id="errored",
        ),
        pytest.param(
            run(
                "failed",
                [task(1, "success")],
                attempts=[{**RELEASE, "state": "failed", "error": {"code": "release_failed", "message": "no wheel"}}],
                logs=[job_log("artifact", "api")],
            ),
            ["failed: release of api: no wheel", "--phase artifact --project api", RETRY],
            [],
            id="a failed release",
        ),
        pytest.param(
            run("failed", [task(1, "success")], attempts=[{**RELEASE, "state": "awaiting_signature"}]),
            ["waiting: the release of api", f"go on: forge runs --commit {'a' * 40}"],
            [RETRY],
            id="a signer that is away",
        ),
        pytest.param(
            run(
                "success",
                [task(1, "success")],
                deployments=[
                    {**DEPLOYMENT, "status": "failed", "error": {"code": "deployment_failed", "message": "no push"}}
                ],
            ),
            ["failed: deployment of api to dev: no push", "go on: forge deploy dev acme/shop/api 4"],
            [RETRY],
            id="a failed deployment",
        ),
        pytest.param(
            run("success", [], warnings=["api was not deployed to production: outside of its windows"]),
            ["warning: api was not deployed to production"],
            ["go on"],
            id="a refused deployment",
        ),
    ],
)
def test_every_end_says_what_happened_and_how_to_go_on(capsys, found, said, unsaid):
    report(found)
    text = capsys.readouterr().err
    assert [part for part in said if part not in text] == []
    assert [part for part in unsaid if part in text] == []


@pytest.mark.parametrize(("status", "code"), [("success", 0), ("failed", 1), ("errored", 1), ("cancelled", 130)])
def test_exit_codes(status, code):
    assert report(run(status, [])) == code


def test_lines_of_several_logs_carry_their_names():
    written = []
    write = named(LogPlace(uuid.UUID(int=1), "test", "api", "unit", "running", complete=False), written.append)
    for chunk in (b"one\ntw", b"o\n", b"rest", b""):
        write(chunk)
    assert b"".join(written) == b"test api unit | one\ntest api unit | two\ntest api unit | rest\n"


def test_logs_are_chosen_by_names_and_by_failure():
    log = {"id": identifier(50), "phase": "discovery", "project": "repository", "step": "discovery"}
    found = run("failed", [task(1, "failed"), task(2, "success")], logs=[log])
    assert [place.name for place in places(found, Wanted(failed=True))] == ["test p001 unit"]
    assert [place.name for place in places(found, Wanted(project="p002"))] == ["test p002 unit"]
    assert [place.name for place in places(found, Wanted(phase="discovery"))] == ["discovery repository discovery"]


def test_watching_what_is_no_run_is_a_usage_error(monkeypatch):
    result = CliRunner().invoke(forge, ["run", "--watch", "https://forge.example.com/v1/runs"], standalone_mode=False)
    assert "names no run" in str(result.exception)
