"""The embedded platform after the death of its parts, each in a platform of its own."""

import os
import signal
import subprocess

import configurations
import pytest
from harness import API, FAST_REDELIVERY, Platform, alive, answers, eventually

DISK_MIB = 400


@pytest.fixture
def own_platform(tmp_path):
    found = Platform(tmp_path / "own")
    found.configure("api", API)
    found.configure("worker", FAST_REDELIVERY + "pools: {discovery: 1, ci: 2, artifact: 1, release: 1}\n")
    assert found.forge("up").code == 0
    yield found
    assert found.forge("down", "--purge").code == 0


def test_supervisor_killed_takes_everything_along_and_the_next_up_goes_on(own_platform, make_repository):
    repository = make_repository("kept")
    repository.write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step("true")}
    ).commit()
    run = own_platform.forge("run", str(repository.folder), "--json").json()
    status = own_platform.forge("status", "--json").json()
    children = [service["pid"] for service in status["services"].values()]
    os.kill(status["pid"], signal.SIGKILL)
    eventually(lambda: not any(map(alive, children)), "all services have ended", 30)
    assert own_platform.forge("status").code == 3
    assert own_platform.forge("up").code == 0
    assert [item["id"] for item in own_platform.forge("runs", "--json").json()["items"]] == [run["id"]]
    again = own_platform.forge("run", str(repository.folder), "--json")
    assert (again.code, again.json()["id"]) == (0, run["id"])


def test_run_goes_on_after_the_death_of_the_api(own_platform, make_repository, tmp_path):
    repository, mark, go = make_repository("patient"), tmp_path / "started", tmp_path / "go"
    script = f"touch {mark}; while [ ! -e {go} ]; do sleep 0.1; done; echo x >> {tmp_path}/times"
    repository.write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step(script)}
    ).commit()
    assert own_platform.forge("run", str(repository.folder), "--no-wait").code == 0
    eventually(mark.exists, "the step has started")
    killed = own_platform.kill("api")
    eventually(lambda: own_platform.services()["api"]["pid"] not in {killed, None}, "the API runs again")
    go.touch()
    done = own_platform.forge("run", str(repository.folder), "--json")
    assert (done.code, done.json()["status"]) == (0, "success")
    assert (tmp_path / "times").read_text() == "x\n"


@pytest.mark.parametrize("service", ["nats", "postgres", "s3", "registry"])
def test_dead_server_is_restarted_with_its_data(own_platform, make_repository, service):
    killed = own_platform.kill(service)
    eventually(lambda: own_platform.services()[service]["pid"] not in {killed, None}, f"{service} runs again")
    repository = make_repository(f"after-{service}")
    repository.write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step("true")}
    ).commit()
    done = own_platform.forge("run", str(repository.folder), "--json", timeout=120)
    assert (done.code, done.json()["status"]) == (0, "success"), done.err


@pytest.fixture
def small_disk(tmp_path):
    """A file system that is soon full."""
    if os.geteuid() != 0:
        reason = "only root may mount a file system of its own"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_run_goes_on_when_a_full_disk_has_room_again(small_disk, make_repository, tmp_path):
    platform = Platform(small_disk / "own")
    assert platform.forge("up").code == 0
    try:
        mark, go = tmp_path / "started", tmp_path / "go"
        script = f"touch {mark}; while [ ! -e {go} ]; do sleep 0.1; done"
        repository = make_repository("thrifty").write({".forge/repo.cue": configurations.REPOSITORY})
        # Their results are more than what the blocks that are begun still hold.
        for number in range(40):
            name = f"part-{number}"
            repository.write({f"{name}/.forge/project.cue": configurations.step(script, name)})
        repository.commit()
        assert platform.forge("run", str(repository.folder), "--no-wait").code == 0
        eventually(mark.exists, "the step has started")
        fill = small_disk / "fill"
        subprocess.run(["dd", "if=/dev/zero", f"of={fill}", "bs=64k"], capture_output=True, check=False)
        go.touch()
        health = f"http://127.0.0.1:{platform.ports['nats_monitoring']}/healthz"
        eventually(lambda: not answers(health), "NATS could not write")
        assert f"the disk of {platform.home} is full" in platform.forge("status").out
        fill.unlink()
        done = platform.forge("run", str(repository.folder), "--json", timeout=180)
        if done.code != 0:
            # Some tasks may have begun without room for their files.
            assert "No space left on device" in done.err
            done = platform.forge("retry", done.json()["id"], "--failed", "--json", timeout=180)
        assert (done.code, done.json()["status"]) == (0, "success"), done.err
        assert platform.services()["nats"]["restarts"] == 1
    finally:
        assert platform.forge("down", "--purge").code == 0
