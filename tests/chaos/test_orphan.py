"""A worker that was frozen, lost its job to another one and comes back."""

import json
import os
import signal
import subprocess
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import configurations
import pytest
from harness import eventually


@pytest.fixture
def second_worker(platform, tmp_path):
    """Starts another worker with exactly the settings of the platform's own."""
    started = []

    def start():
        pid = platform.services()["worker"]["pid"]
        argv, environment = (
            Path(f"/proc/{pid}/{name}").read_bytes().rstrip(b"\0").split(b"\0") for name in ("cmdline", "environ")
        )
        with (tmp_path / "second.log").open("wb") as log:
            variables = dict(entry.split(b"=", 1) for entry in environment)
            started.append(subprocess.Popen(argv, env=variables, stdout=log, stderr=log))
        eventually(lambda: "worker_started" in (tmp_path / "second.log").read_text(), "the second worker runs")
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


def test_an_orphan_with_an_old_token_changes_nothing(platform, make_repository, second_worker, tmp_path):
    repository, order = make_repository("orphaned"), tmp_path / "order"
    script = f"echo x >> {order}; echo run $(wc -l < {order}); if [ $(wc -l < {order}) = 1 ]; then sleep 600; fi"
    repository.write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step(script)}
    ).commit()
    frozen = platform.services()["worker"]["pid"]
    process = platform.start("run", str(repository.folder), "--json")
    eventually(order.exists, "the step has started")
    os.kill(frozen, signal.SIGSTOP)
    try:
        second_worker()
        out, err = process.communicate(timeout=120)
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert process.returncode == 0, err
    worker_log = platform.home / "logs" / "worker.log"
    eventually(lambda: "claim_lost" in worker_log.read_text(), "the orphan notices")
    run = platform.forge("run", str(repository.folder), "--json").json()
    assert run["status"] == "success"
    assert '"status": "success"' in out
    assert platform.forge("logs", run["id"]).out.count("run 2") == 1
    [task] = run["phases"][1]["tasks"]
    late = first_claim(worker_log, run["id"])
    [refused] = write_status(platform, {**late, "tasks": [failure_of(task["id"])]})
    assert (refused["job_id"], refused["code"]) == (late["job_id"], "stale_token")
    assert (
        platform.forge("run", str(repository.folder), "--json").json()["phases"][1]["tasks"][0]["status"] == "success"
    )


def first_claim(worker_log, run_id) -> dict[str, object]:
    """Job and fencing token of the task as the worker that was frozen had them."""
    events = [json.loads(line) for line in worker_log.read_text().splitlines() if line.startswith("{")]
    started = [event for event in events if event["event"] == "job_started" and event["run_id"] == run_id]
    [task] = [event for event in started if event["job_type"] == "ci"]
    return {"job_id": task["job_id"], "token": task["token"]}


def failure_of(task_id: str) -> dict[str, str]:
    return {"task_id": task_id, "status": "failed", "at": datetime.now(UTC).isoformat()}


def write_status(platform, body) -> list[dict[str, str]]:
    """The jobs that the API refuses of a batch with an old token."""
    request = urllib.request.Request(
        f"{platform.api}/v1/internal/statuses",
        data=json.dumps({"jobs": [body]}).encode(),
        headers={"Authorization": f"Bearer {platform.token('worker')}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        refused: list[dict[str, str]] = json.load(answer)["refused"]
    return refused
