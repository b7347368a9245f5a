"""What goes wrong, and what the user is told."""

import urllib.request
from pathlib import Path

import configurations
from harness import alive, eventually


def test_failing_step_shows_its_chain_and_keeps_its_log(platform, make_repository):
    repository = make_repository("failing")
    project = configurations.step("echo this is the reason; exit 7")
    repository.write({".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": project}).commit()
    done = platform.forge("run", str(repository.folder), "--json")
    run = done.json()
    assert (done.code, run["status"]) == (1, "failed")
    step = run["phases"][1]["tasks"][0]["steps"][0]
    assert (step["status"], step["exit_code"]) == ("failed", 7)
    codes, error = [], run["error"]
    while error:
        codes.append(error["code"])
        error = error["cause"]
    assert codes[0] == "run_failed"
    assert "step_failed" in codes
    assert "because" in done.err
    assert f"forge logs {run['id']} --failed" in done.err
    assert run["error"]["trace_id"]
    assert platform.forge("logs", run["id"], "--failed").out == "this is the reason\n"


def test_all_configuration_mistakes_are_told_at_once_with_their_places(platform, make_repository):
    repository = make_repository("mistaken")
    project = 'package project\n\nname: "api"\nci: phases: tset: unit: {\n\taction: "command"\n\tcommand: ["true"]\n}\nartifacts: site: {\n\ttype: "archive"\n\tproducer: python: {wheell: true}\n}\n'
    repository.write({".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": project}).commit()
    done = platform.forge("run", str(repository.folder))
    assert done.code == 1
    assert ".forge/project.cue:4:" in done.err
    assert ".forge/project.cue:10:" in done.err
    assert "tset" in done.err
    assert "wheell" in done.err


def test_unknown_publisher_type_says_what_is_installed(platform, make_repository):
    repository = make_repository("unknown-type")
    publishers = '\npublishers: bucket: {type: "ftp", host: "x"}\n'
    project = configurations.step("true")
    repository.write(
        {".forge/repo.cue": configurations.REPOSITORY + publishers, ".forge/project.cue": project}
    ).commit()
    done = platform.forge("run", str(repository.folder))
    assert done.code == 1
    assert "ftp" in done.err
    assert "pypi" in done.err


def test_worker_killed_in_the_middle_of_a_task_and_the_run_still_ends_well(platform, make_repository, tmp_path):
    repository, mark = make_repository("resilient"), tmp_path / "started"
    script = f"if [ -e {mark} ]; then echo second time; exit 0; fi; touch {mark}; sleep 600"
    repository.write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step(script)}
    ).commit()
    process = platform.start("run", str(repository.folder), "--json")
    eventually(mark.exists, "the step has started")
    killed = platform.kill("worker")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert '"status": "success"' in out
    assert not alive(killed)
    assert platform.services()["worker"]["restarts"] >= 1


def test_cancelled_run_ends_its_processes(platform, make_repository, tmp_path):
    repository, pid_file = make_repository("cancelled"), tmp_path / "pid"
    script = f"trap true TERM; echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; while true; do sleep 1; done"
    repository.write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step(script)}
    ).commit()
    process = platform.start("run", str(repository.folder), "--json")
    eventually(pid_file.exists, "the step has started")
    process.send_signal(2)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert '"status": "cancelled"' in out
    eventually(lambda: not alive(int(pid_file.read_text())), "the step's process has ended")


def test_repository_without_configuration_has_nothing_to_run(platform, make_repository):
    repository = make_repository("empty")
    repository.write({"README.md": "nothing to see"}).commit()
    done = platform.forge("run", str(repository.folder), "--json")
    assert (done.code, done.json()["status"], done.json()["phases"]) == (0, "success", [])


def test_second_up_says_that_it_runs_already(platform):
    before = platform.services()["api"]["pid"]
    done = platform.forge("up")
    assert done.code == 0
    assert "already runs" in done.out
    assert platform.services()["api"]["pid"] == before


def test_no_secret_is_in_any_log(platform):
    logs = "".join(path.read_text(errors="replace") for path in (platform.home / "logs").glob("*.log"))
    secrets = [
        path.read_text().strip() for path in (platform.home / "keys").glob("*.secret") if path.stem != "s3-access-key"
    ]
    assert logs
    assert not [secret for secret in [*secrets, "s3cret-index-password"] if secret in logs]


def test_services_answer_their_health_checks(platform):
    with urllib.request.urlopen(f"{platform.api}/readyz", timeout=5) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{platform.api}/metrics", timeout=5) as answer:
        assert b"forge_http_request_duration_seconds" in answer.read()
    assert Path(platform.home).stat().st_mode & 0o077 == 0
