"""Results, logs and process trees that are larger than usual, and many runs at once."""

import json
import urllib.request
from pathlib import Path

import configurations
from harness import alive, eventually

PROJECT_BYTES = 100_000
PROJECTS = 32
LOG_BYTES = 200 * 2**20
FLAT_BYTES = 96 * 2**20


def memory(pid: int) -> int:
    """The most memory that a process had resident, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no such process")


def test_a_discovery_document_of_3_mb(platform, make_repository):
    repository = make_repository("large-document")
    files = {".forge/repo.cue": configurations.REPOSITORY}
    for number in range(PROJECTS):
        project = configurations.step("true", f"p{number}")
        padding = json.dumps("x" * PROJECT_BYTES)
        files[f"p{number}/.forge/project.cue"] = project.replace('"true"]', f'"true", {padding}]')
    repository.write(files).commit()
    done = platform.forge("run", str(repository.folder), "--json", timeout=240)
    assert done.code == 0, done.err
    run = done.json()
    assert (run["status"], len(run["phases"][1]["tasks"])) == ("success", PROJECTS)


def test_a_log_of_200_mb_is_kept_whole_and_memory_stays_flat(platform, make_repository):
    repository = make_repository("large-log")
    script = f"yes a line of a log that is written quickly | head -c {LOG_BYTES}"
    repository.write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step(script)}
    ).commit()
    worker = platform.services()["worker"]["pid"]
    before = memory(worker)
    done = platform.forge("run", str(repository.folder), "--json", timeout=240)
    assert done.code == 0, done.err
    assert memory(worker) - before < FLAT_BYTES
    with stored_log(platform, done.json()) as answer:
        size = sum(len(chunk) for chunk in iter(lambda: answer.read(2**20), b""))
    assert size >= LOG_BYTES


def stored_log(platform, run):
    """The log of the run's only step, through the API."""
    step = run["phases"][1]["tasks"][0]["steps"][0]
    request = urllib.request.Request(
        f"{platform.api}/v1/steps/{step['id']}/logs", headers={"Authorization": f"Bearer {platform.token('user')}"}
    )
    return urllib.request.urlopen(request, timeout=60)


def test_a_task_that_forks_and_ignores_sigterm_leaves_nothing(platform, make_repository, tmp_path):
    repository, pids = make_repository("forking"), tmp_path / "pids"
    child = f"trap '' TERM; echo $$ >> {pids}; while true; do sleep 1; done"
    script = f'trap "" TERM; for i in 1 2 3; do setsid sh -c "{child.replace("$", chr(92) + "$")}" & done; wait'
    project = configurations.step("SCRIPT", timeout='"5s"').replace('"SCRIPT"', json.dumps(script))
    repository.write({".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": project}).commit()
    done = platform.forge("run", str(repository.folder), "--json", timeout=120)
    assert (done.code, done.json()["status"]) == (1, "failed")
    assert "longer than 5 s" in done.err
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 3
    eventually(lambda: not any(map(alive, started)), "all children have ended")


def test_a_small_run_is_not_starved_by_a_large_one(platform, make_repository, tmp_path):
    """Ten runs of two repositories; the large one's tasks wait for a file that comes when the small one is through."""
    go = tmp_path / "go"
    large, small = make_repository("large"), make_repository("small")
    files = {".forge/repo.cue": configurations.REPOSITORY}
    for number in range(8):
        wait = f"while [ ! -e {go} ]; do sleep 0.1; done"
        files[f"p{number}/.forge/project.cue"] = configurations.step(wait, f"p{number}")
    large.write(files)
    small.write({".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step("true")})
    runs = {large: [], small: []}
    try:
        for repository in [large, large, *[small] * 4, large, large, large, small]:
            repository.commit(f"commit {len(runs[repository])}")
            started = platform.forge("run", str(repository.folder), "--no-wait", "--json")
            assert started.code == 0, started.err
            runs[repository].append(started.json()["id"])
        for run in runs[small]:
            ended = eventually(lambda run=run: finished(platform, run), "the small run ends beside the large ones")
            assert ended == "success"
        assert all(status(platform, run) in {"pending", "running"} for run in runs[large])
    finally:
        go.touch()
    for run in runs[large]:
        assert eventually(lambda run=run: finished(platform, run), "the large run ends", 180) == "success"


def finished(platform, run_id) -> str | None:
    found = status(platform, run_id)
    return None if found in {"pending", "running"} else found


def status(platform, run_id) -> str:
    items = platform.forge("runs", "--json").json()["items"]
    return next(item["status"] for item in items if item["id"] == run_id)
