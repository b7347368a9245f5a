"""What a release says of the world outside: conflicts, targets that are down while something refers to them, a signer that is
away, several at once.
"""

import re
import subprocess

import configurations
import pytest
import yaml
from harness import Repository, eventually, free_port, running_index

DIGEST = re.compile(r"sha256:[0-9a-f]{64}|[0-9a-f]{64}")


@pytest.fixture
def package(tmp_path):
    """A Python package in a repository, published to an index on a port."""

    def make(name, port, deployment="", version="1.0.0"):
        repository = Repository(tmp_path / name)
        url = f"http://127.0.0.1:{port}/simple/"
        repository.write(configurations.python_package(name, url, deployment=deployment, version=version))
        repository.commit()
        return repository

    return make


def delivered(platform, repository):
    return platform.forge("run", str(repository.folder), "--json", timeout=240)


def test_the_same_name_with_other_content_is_a_conflict_with_both_digests(platform, package, tmp_path):
    port = free_port()
    with running_index(tmp_path / "index", port) as index:
        repository = package("doubled", port)
        assert delivered(platform, repository).code == 0
        [wheel] = index.folder.glob("*.whl")
        published = wheel.read_bytes()
        repository.write({"src/doubled/more.py": "MORE = 1\n"}).commit()
        done = delivered(platform, repository)
        assert wheel.read_bytes() == published
    assert done.json()["releases"][0]["status"] == "partial"
    [row] = done.json()["releases"][0]["artifacts"][0]["publisher_results"]
    assert len(set(DIGEST.findall(row["error"]["message"]))) == 2
    assert "conflict" in platform.forge("release", "show", "local/doubled/doubled", "2").out


def test_nothing_is_released_that_refers_to_what_was_not_published(platform, package, tmp_path):
    port = free_port()
    repository = package("referring", port, configurations.DEPLOYMENT)
    done = delivered(platform, repository)
    run = done.json()
    assert (done.code, run["status"], run["releases"]) == (1, "failed", [])
    assert "wheel.publishers.index.version" in done.err
    assert "forge release retry" in done.err
    with running_index(tmp_path / "index", port):
        again = platform.forge(
            "release", "retry", "local/referring/referring", run["commit_sha"], "--json", timeout=240
        )
    assert (again.code, again.json()["status"], again.json()["release_number"]) == (0, "complete", 1), again.err


def test_a_release_whose_signer_was_away_is_finished_when_it_is_back(platform, package, tmp_path):
    port, key = free_port(), platform.home / "keys" / "signing.key"
    away = key.with_suffix(".away")
    with running_index(tmp_path / "index", port) as index:
        repository = package("unsigned", port)
        key.rename(away)
        try:
            done = delivered(platform, repository)
            [attempt] = done.json()["attempts"]
            assert (done.code, done.json()["status"], done.json()["releases"]) == (1, "failed", [])
            assert attempt["state"] == "awaiting_signature"
            assert "can't be read" in done.err
            assert "goes on by itself" in done.err
            assert list(index.folder.iterdir()) == []
            assert platform.forge("release", "list", "local/unsigned/unsigned", "--json").json()["items"] == []
        finally:
            away.rename(key)
        release = eventually(lambda: finished(platform, "local/unsigned/unsigned"), "the release", seconds=150)
        [wheel] = index.folder.glob("*.whl")
    assert [row["file"] for row in release["publications"]] == [wheel.name]
    run = platform.forge("runs", "--json").json()["items"][0]["id"]
    assert "taken from the sealed copy" in platform.forge("logs", run, "--phase", "artifact").out
    verified = platform.forge("release", "verify", "local/unsigned/unsigned", "1")
    assert verified.code == 0, verified.err


def finished(platform, project):
    """The project's first release, once it is complete."""
    shown = platform.forge("release", "show", project, "1", "--json")
    return shown.json() if shown.code == 0 and shown.json()["status"] == "complete" else None


def test_a_release_on_request_that_is_cancelled_says_so_and_how_to_go_on(platform, make_repository, tmp_path):
    mark = tmp_path / "begun"
    project = configurations.archive(f"touch {mark}; sleep 600").replace('{branch: "main"}', "{tag: true}")
    repository = make_repository("asked")
    repository.write({".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": project})
    commit = repository.commit()
    assert delivered(platform, repository).code == 0
    asked = platform.start("release", "create", "local/asked/tool", commit)
    eventually(mark.exists, "the build has begun")
    [run] = platform.forge("runs", "--commit", commit, "--status", "running", "--json").json()["items"]
    assert platform.forge("cancel", run["id"]).code == 0
    _, err = asked.communicate(timeout=60)
    assert asked.returncode == 130
    assert f"go on: forge retry {run['id']}" in err


def test_two_deployments_at_once_leave_one_active_that_the_pointer_names(platform, package, tmp_path):
    port = free_port()
    with running_index(tmp_path / "index", port):
        repository = package("raced", port, configurations.DEPLOYMENT)
        assert delivered(platform, repository).code == 0
        repository.write({"pyproject.toml": configurations.PYPROJECT % ("raced", "2.0.0", "raced")}).commit()
        assert delivered(platform, repository).code == 0
    processes = [platform.start("deploy", "production", "local/raced/raced", number, "--json") for number in ("1", "2")]
    ends = [process.communicate(timeout=120) for process in processes]
    assert 0 in [process.returncode for process in processes], ends
    history = platform.forge("env", "history", "production", "local/raced/raced", "--json").json()["items"]
    [active] = [found for found in history if found["status"] == "active"]
    different = platform.forge("diff", "production", "local/raced/raced", "1", "--json").json()
    assert (different["from"]["release"], different["to"]["release"]) == (2, 1)
    assert (different["without_sbom"], different["packages"]) == ([], [])
    shown = subprocess.run(
        ["git", "-C", str(platform.home / "gitops.git"), "show", "main:production/raced-raced/release.yaml"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert active["release_number"] == 2
    assert yaml.safe_load(shown.stdout)["spec"]["aliases"]["numeric"] == 2
