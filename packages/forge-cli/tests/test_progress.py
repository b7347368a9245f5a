import io
import uuid
from datetime import UTC, datetime

from rich.console import Console

from forge_cli.progress import PlainProgress, run_lines
from forge_sdk.models.api import Run

NOW = datetime.now(UTC).isoformat()


def run(status: str, step: str, **more) -> Run:
    steps = [{"id": str(uuid.UUID(int=3)), "name": "unit", "action": "command", "status": step, "started_at": NOW}]
    task = {
        "id": str(uuid.UUID(int=2)),
        "project": "api",
        "project_path": "services/api",
        "status": step,
        "steps": steps,
    }
    phase = {"id": str(uuid.UUID(int=1)), "name": "test", "group": 1, "status": step, "tasks": [task]}
    facts = {
        "id": str(uuid.UUID(int=0)),
        "repository": "acme/shop",
        "commit_sha": "a" * 40,
        "attempt": 1,
        "trigger_type": "manual",
    }
    return Run.model_validate(
        {**facts, "status": status, "triggered_by": "alice", "created_at": NOW, "phases": [phase], **more}
    )


def shown(*states: Run) -> list[str]:
    out = io.StringIO()
    show = PlainProgress(Console(file=out, width=200))
    for state in states:
        show(state)
    return out.getvalue().splitlines()


def test_every_change_is_one_line_and_nothing_is_repeated():
    printed = shown(run("running", "running"), run("running", "running"), run("success", "success"))
    assert len([line for line in printed if "test api unit" in line]) == 2
    assert len(printed) == 8


def test_what_waits_is_not_printed():
    assert not any("unit" in line for line in shown(run("running", "pending")))


def test_exit_code_of_a_failed_step_is_shown():
    failed = run("failed", "failed").model_dump(mode="json")
    failed["phases"][0]["tasks"][0]["steps"][0]["exit_code"] = 7
    assert any("unit (exit code 7)" in line for line in shown(Run.model_validate(failed)))


def test_releases_and_deployments_are_part_of_the_view():
    release = {
        "id": str(uuid.UUID(int=4)),
        "canonical_id": "acme/shop/api/" + "a" * 40,
        "repository": "acme/shop",
        "project": "api",
    }
    release |= {
        "commit_sha": "a" * 40,
        "release_number": 1,
        "status": "complete",
        "oci_uri": "x",
        "oci_digest": "sha256:0",
        "created_by": "a",
    }
    release |= {"created_at": NOW, "aliases": [{"alias": "main-1", "type": "branch"}]}
    texts = [line.text for line in run_lines(run("success", "success", releases=[release]))]
    assert any("as main-1 (complete)" in text for text in texts)
