"""Runs as a person sees them: attempts, newer pushes, logs that are followed, timeouts, ends."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import configurations
import pytest
from harness import Repository, alive, eventually

from forge_dispatch import Dispatcher
from forge_dispatch.connection import connect
from forge_sdk.configuration import Nats
from forge_sdk.identifiers import job_id
from forge_sdk.models.jobs import Job, JobType
from forge_sdk.models.payloads import CiPayload, StepPlan
from forge_sdk.nats_permissions import DISPATCHER, inbox_prefix

CANCEL = '\nconcurrency: "cancel"\n'
TAGGED = '\nrelease: on: [{branch: "main"}, {tag: true}]\n'


@pytest.fixture
def project(make_repository) -> Callable[..., Any]:
    """A repository with one project `api` whose step runs a line of shell."""

    def make(name: str, script: str, *, repository: str = "", more: str = "", **fields: str) -> Any:
        made = make_repository(name)
        made.write(
            {
                ".forge/repo.cue": configurations.REPOSITORY + repository,
                ".forge/project.cue": configurations.step(script, **fields) + more,
            }
        )
        made.commit()
        return made

    return make


def newest(platform, folder) -> dict[str, Any]:
    found = platform.forge("runs", "--repository", f"local/{folder.name}", "--json")
    items = found.json()["items"]
    return items[0] if items else {}


def run_id(platform, repository) -> str:
    return eventually(lambda: newest(platform, repository.folder).get("id"), "the run is there")


def statuses(run: dict[str, Any]) -> dict[str, str]:
    return {f"{phase['name']} {task['project']}": task["status"] for phase in run["phases"] for task in phase["tasks"]}


def test_the_same_commit_is_one_run_and_a_retry_is_another(platform, project, tmp_path):
    repository = project("same", f"echo ran >> {tmp_path}/count")
    done = platform.forge("run", str(repository.folder), "--json")
    assert done.code == 0, done.err
    first = done.json()
    again = platform.forge("run", str(repository.folder), "--json").json()
    assert again["id"] == first["id"]
    retried = platform.forge("retry", first["id"], "--json")
    assert (retried.code, retried.json()["attempt"], retried.json()["status"]) == (0, 2, "success")
    assert (tmp_path / "count").read_text().count("ran") == 2


def test_a_retry_of_what_failed_runs_only_that(platform, make_repository, tmp_path):
    repository = make_repository("flaky")
    good = configurations.step(f"echo good >> {tmp_path}/count", name="good").replace("test: unit", "lint: unit")
    flaky = f"echo flaky >> {tmp_path}/count; test -e {tmp_path}/repaired"
    repository.write(
        {
            ".forge/repo.cue": configurations.REPOSITORY,
            "good/.forge/project.cue": good,
            "flaky/.forge/project.cue": configurations.step(flaky, name="flaky"),
        }
    ).commit()
    failed = platform.forge("run", str(repository.folder), "--json")
    assert (failed.code, statuses(failed.json())) == (1, {"lint good": "success", "test flaky": "failed"})
    assert "failed: task flaky in phase test, step unit (exit code 1)" in failed.err
    command = f"forge retry {failed.json()['id']} --failed"
    assert f"go on: {command}" in failed.err
    (tmp_path / "repaired").touch()
    retried = platform.forge(*command.split()[1:], "--json")
    assert (retried.code, statuses(retried.json())) == (0, {"lint good": "success", "test flaky": "success"})
    assert (tmp_path / "count").read_text().split() == ["good", "flaky", "flaky"]
    assert platform.forge(*command.split()[1:]).code == 0
    nothing = platform.forge("retry", retried.json()["id"], "--failed")
    assert (nothing.code, "nothing of it failed" in nothing.err) == (1, True)


def test_a_tag_after_the_branch_run_reuses_it_and_names_the_release(platform, project, tmp_path):
    repository = project("tagged", f"echo ran >> {tmp_path}/count", more=TAGGED)
    branch = platform.forge("run", str(repository.folder), "--json").json()
    assert [release["release_number"] for release in branch["releases"]] == [1]
    repository.git("tag", "api/v1.0.0")
    repository.git("checkout", "-q", "--detach", "api/v1.0.0")
    tag = platform.forge("run", str(repository.folder), "--json").json()
    assert (tag["status"], tag["attempt"], tag["based_on"]) == ("success", 2, branch["id"])
    [release] = tag["releases"]
    assert release["id"] == branch["releases"][0]["id"]
    assert {"1", "main-1", "v1.0.0"} <= {alias["alias"] for alias in release["aliases"]}
    assert (tmp_path / "count").read_text().count("ran") == 1


def test_a_newer_commit_cancels_the_run_before(platform, project, tmp_path):
    script = f"echo $$ > {tmp_path}/new.pid; mv {tmp_path}/new.pid {tmp_path}/pid; test -e done || sleep 600"
    repository = project("newer", script, repository=CANCEL)
    first = platform.start("run", str(repository.folder), "--json")
    eventually((tmp_path / "pid").exists, "the step has started")
    pid = int((tmp_path / "pid").read_text())
    repository.write({"done": ""}).commit()
    second = platform.forge("run", str(repository.folder), "--json")
    out, err = first.communicate(timeout=60)
    assert (first.returncode, second.code) == (130, 0)
    assert json.loads(out)["superseded_by"] == second.json()["id"]
    assert second.json()["id"] in err
    assert not alive(pid)


def test_logs_are_followed_while_the_step_runs(platform, project, tmp_path):
    script = f"echo first; while ! test -e {tmp_path}/go; do sleep 0.05; done; echo last"
    repository = project("followed", script)
    run = platform.start("run", str(repository.folder), "--json")
    logs = platform.start("logs", "-f", run_id(platform, repository), "--step", "unit")
    try:
        assert logs.stdout.readline() == "first\n"
        assert run.poll() is None
        (tmp_path / "go").touch()
        assert logs.communicate(timeout=60)[0] == "last\n"
        assert (run.wait(60), logs.returncode) == (0, 0)
    finally:
        (tmp_path / "go").touch()
        run.communicate(timeout=60)


def test_following_what_is_no_run_is_one_error(platform):
    done = platform.forge("logs", "-f", str(uuid4()))
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_a_reader_of_logs_may_leave(platform, project, tmp_path):
    script = f"echo first; while ! test -e {tmp_path}/go; do echo more; sleep 0.05; done"
    repository = project("left", script)
    run = platform.start("run", str(repository.folder), "--json")
    logs = platform.start("logs", "-f", run_id(platform, repository), "--step", "unit")
    try:
        assert logs.stdout.readline() == "first\n"
        logs.stdout.close()
        assert logs.wait(60) == 1
        with logs.stderr as said:
            assert said.read() == ""
    finally:
        (tmp_path / "go").touch()
        run.communicate(timeout=60)


def test_the_discovery_has_a_log(platform, project):
    repository = project("discovered", "true")
    run = platform.forge("run", str(repository.folder), "--json").json()
    log = platform.forge("logs", run["id"], "--phase", "discovery")
    assert "[forge] found 1 projects" in log.out


def test_a_run_can_be_watched_by_its_url(platform, project, tmp_path):
    repository = project("watched", f"while ! test -e {tmp_path}/go; do sleep 0.05; done")
    started = platform.forge("run", str(repository.folder), "--no-wait", "--json")
    assert (started.code, started.json()["status"] in {"pending", "running"}) == (0, True)
    watched = platform.start("run", "--watch", f"{platform.api}/v1/runs/{started.json()['id']}")
    eventually(lambda: newest(platform, repository.folder)["status"] == "running", "the run goes on")
    (tmp_path / "go").touch()
    _, err = watched.communicate(timeout=60)
    assert watched.returncode == 0, err
    assert "test api unit  success" in err


def test_cancel_leaves_no_process(platform, make_repository, tmp_path):
    repository = make_repository("ended")
    stubborn = f"trap '' TERM\necho $$ > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/child\nsleep 600\n"
    repository.write(
        {
            ".forge/repo.cue": configurations.REPOSITORY,
            ".forge/project.cue": configurations.step("sh stubborn.sh & sleep 600"),
            "stubborn.sh": stubborn,
        }
    ).commit()
    run = platform.start("run", str(repository.folder), "--json")
    eventually((tmp_path / "child").exists, "the step's child has started")
    pid = int((tmp_path / "child").read_text())
    done = platform.forge("cancel", run_id(platform, repository))
    assert done.code == 0, done.err
    assert "forge retry" in done.err
    out, _ = run.communicate(timeout=60)
    assert (run.returncode, json.loads(out)["status"]) == (130, "cancelled")
    eventually(lambda: not alive(pid), "the child that ignores SIGTERM has ended", 20)
    ended = platform.forge("cancel", json.loads(out)["id"])
    assert (ended.code, "is cancelled" in ended.err) == (0, True)


def test_a_step_that_takes_too_long_is_ended(platform, project, tmp_path):
    script = f"echo $$ > {tmp_path}/n.pid; mv {tmp_path}/n.pid {tmp_path}/pid; sleep 600"
    repository = project("slow", script, timeout='"2s"')
    started = time.monotonic()
    done = platform.forge("run", str(repository.folder), "--json")
    assert done.code == 1
    assert time.monotonic() - started < 60
    codes, error = [], done.json()["error"]
    while error:
        codes.append(error["code"])
        error = error["cause"]
    assert "timeout" in codes
    eventually(lambda: not alive(int((tmp_path / "pid").read_text())), "the step's process has ended", 20)


async def test_a_task_that_takes_too_long_as_a_whole_is_ended(platform, project, tmp_path):
    repository = project("slow-task", "true")
    script = f"echo $$ > {tmp_path}/n.pid; mv {tmp_path}/n.pid {tmp_path}/pid; sleep 600"
    job = task_of_one_step(repository, "api", script, timeout_s=3)
    settings = Nats(
        url=f"nats://127.0.0.1:{platform.ports['nats']}",
        user="dispatcher",
        password_file=platform.home / "keys" / "nats-dispatcher.secret",
        inbox_prefix=inbox_prefix(DISPATCHER),
    )
    connection = await connect(settings, "test")
    async with asyncio.timeout(60), Dispatcher(connection) as dispatcher:
        [result] = await dispatcher.run([job])
    await connection.close()
    assert (result.status, result.error.code) == ("failed", "timeout")
    assert "took longer than 3 s" in result.error.message
    eventually(lambda: not alive(int((tmp_path / "pid").read_text())), "the step's process has ended", 20)


def task_of_one_step(repository: Repository, name: str, script: str, timeout_s: float) -> Job:
    """A task of project `name`, with no run behind it, whose step runs a line of shell."""
    run_id = uuid4()
    step = StepPlan(
        id=uuid4(), name="unit", action="command", configuration={"command": ["sh", "-c", script]}, timeout_s=60
    )
    payload = CiPayload(task_id=uuid4(), phase="test", project=name, project_path=".", waves=((step,),))
    return Job(
        id=job_id(run_id, "ci", "test", name),
        type=JobType.CI,
        run_id=run_id,
        repository=f"local/{repository.folder.name}",
        clone_url=repository.folder.as_uri(),
        commit_sha=repository.git("rev-parse", "HEAD"),
        payload=json.loads(payload.model_dump_json()),
        timeout_s=timeout_s,
    )


def test_runs_are_found_by_branch_status_and_commit(platform, project):
    repository = project("found", "exit 3")
    platform.forge("run", str(repository.folder))
    commit = repository.git("rev-parse", "HEAD")
    found = platform.forge("runs", "--commit", commit, "--status", "failed", "--branch", "main", "--json").json()
    assert [run["commit_sha"] for run in found["items"]] == [commit]
    assert platform.forge("runs", "--commit", commit, "--status", "success", "--json").json()["items"] == []


def test_ten_runs_of_a_large_repository_do_not_starve_a_small_one(platform, make_repository, project):
    large = make_repository("large")
    large.write({".forge/repo.cue": configurations.REPOSITORY})
    for number in range(12):
        large.write({f"p{number}/.forge/project.cue": configurations.step("sleep 0.5", name=f"p{number}")})
    ids = []
    for number in range(10):
        large.commit(str(number))
        large.git("checkout", "-q", "-B", f"branch-{number}")
        ids.append(platform.forge("run", str(large.folder), "--no-wait", "--json").json()["id"])
    small = project("small", "true")
    done = platform.forge("run", str(small.folder), "--json")
    assert done.code == 0, done.err
    unfinished = platform.forge("runs", "--repository", "local/large", "--status", "running", "--json").json()["items"]
    assert unfinished, "the large repository's runs had ended before the small one: nothing was shown"
    for id in ids:
        platform.forge("cancel", id, "--no-wait")
    eventually(
        lambda: (
            not platform.forge("runs", "--repository", "local/large", "--status", "running", "--json").json()["items"]
        ),
        "the large runs have ended",
    )


def test_metrics_tell_of_runs_phases_and_queues(platform, project):
    platform.forge("run", str(project("measured", "true").folder))
    with urllib.request.urlopen(f"{platform.api}/metrics", timeout=10) as answer:
        shown = answer.read().decode()
    assert 'forge_pipeline_run_duration_seconds_count{status="success",trigger_type="manual"}' in shown
    assert 'forge_phase_duration_seconds_count{status="success"}' in shown
    assert 'forge_job_queue_depth{pool="ci"}' in shown
