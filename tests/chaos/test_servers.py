"""Services that die or are stopped in the middle of a run."""

import os
import signal
import subprocess

import configurations
import pytest
from harness import alive, eventually


@pytest.fixture
def waiting(platform, make_repository, tmp_path):
    """A run whose step waits for a file; `times` counts how often it ran."""
    times, go = tmp_path / "times", tmp_path / "go"

    class Waiting:
        def __init__(self, name, script="{wait}", project=configurations.step):
            wait = f"echo x >> {times}; while [ ! -e {go} ]; do sleep 0.05; done"
            script = script.format(wait=wait)
            self.repository = make_repository(name).write(
                {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": project(script)}
            )
            self.repository.commit()
            self.process = platform.start("run", str(self.repository.folder), "--json")
            eventually(times.exists, "the step has started")

        def times(self):
            return times.read_text().count("x")

        def release(self):
            go.touch()

        def ended(self):
            try:
                self.process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                log = (platform.home / "logs" / "api.log").read_text()[-5000:]
                pytest.fail(f"the run has not ended: {platform.forge('runs', '--limit', '1').out}\n{log}")
            again = platform.forge("run", str(self.repository.folder), "--json", timeout=120)
            return again.code, again.json()["status"]

    made = []

    def make(name, **more):
        made.append(Waiting(name, **more))
        return made[-1]

    yield make
    for found in made:
        found.release()
        if found.process.poll() is None:
            found.process.kill()
            found.process.wait()


def restarted(platform, service, killed):
    eventually(lambda: platform.services()[service]["pid"] not in {killed, None}, f"{service} runs again")


def test_nats_killed_in_a_task_and_the_task_goes_on(platform, waiting):
    run = waiting("nats-killed")
    restarted(platform, "nats", platform.kill("nats"))
    run.release()
    assert run.ended() == (0, "success")
    assert run.times() == 1


def test_api_killed_twice_in_a_run(platform, waiting):
    run = waiting("api-killed")
    for _ in range(2):
        restarted(platform, "api", platform.kill("api"))
    run.release()
    assert run.ended() == (0, "success")
    assert run.times() == 1


def test_api_killed_while_a_log_is_followed(platform, waiting):
    run = waiting("followed", script="echo begun; {wait}; echo ended")
    found = platform.forge("runs", "--json", "--limit", "1").json()["items"][0]["id"]
    logs = platform.start("logs", "-f", found, "--step", "unit")
    assert logs.stdout.readline() == "begun\n"
    restarted(platform, "api", platform.kill("api"))
    run.release()
    out, err = logs.communicate(timeout=120)
    assert logs.returncode == 0, err
    assert out == "\n[forge] the platform was away, the log is shown again from its beginning\nbegun\nended\n"
    assert run.ended() == (0, "success")


def test_api_killed_while_an_artifact_is_sealed(platform, waiting):
    run = waiting("sealed", script="{wait}; tar czf files.tar.gz .forge", project=configurations.archive)
    killed = platform.kill("api")
    run.release()
    restarted(platform, "api", killed)
    # It is away for most of the time in which the worker records the steps of the release.
    restarted(platform, "api", platform.kill("api"))
    assert run.ended() == (0, "success")
    assert run.times() == 1


def test_a_drain_hands_the_task_to_the_next_worker(platform, waiting):
    run = waiting("drained")
    pid = platform.services()["worker"]["pid"]
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not alive(pid), "the worker has ended")
    restarted(platform, "worker", pid)
    eventually(lambda: run.times() == 2, "the task runs again")
    run.release()
    assert run.ended() == (0, "success")
    log = (platform.home / "logs" / "worker.log").read_text()
    assert "job_handed_back" in log
    assert "worker_lost" not in log.rpartition("job_handed_back")[2]


def test_object_storage_killed_in_a_task(platform, waiting):
    run = waiting("storage-killed")
    restarted(platform, "s3", platform.kill("s3"))
    run.release()
    assert run.ended() == (0, "success")


def test_database_killed_in_a_task(platform, waiting):
    run = waiting("database-killed")
    restarted(platform, "postgres", platform.kill("postgres"))
    run.release()
    assert run.ended() == (0, "success")
    assert run.times() == 1
