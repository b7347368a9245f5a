"""Deployments that meet: a run that ends after a newer one, many at a time, others who push to the same repository."""

import re
import subprocess
import threading
import time
from collections import Counter

import configurations
import pytest
import yaml
from harness import AUTHOR, eventually

PROJECT = """package project

name: "%(name)s"
%(more)srelease: on: [{branch: "main"}, {branch: "slow"}]
deployment: resources: [{
	apiVersion: "v1"
	kind:       "ConfigMap"
	metadata: name: "%(name)s"
	data: version: "%(version)s"
}]
"""
MANY = 20
TRAILER = re.compile(r"^Forge-Deployment: (\S+)$", re.MULTILINE)


def project(name, version, script=None):
    step = f'ci: phases: test: unit: {{action: "command", command: ["sh", "-c", "{script}"]}}\n' if script else ""
    return PROJECT % {"name": name, "version": version, "more": step}


@pytest.fixture
def gitops(platform):
    """Runs git in the repository that deployments are written to."""

    def run(*arguments):
        command = ["git", "-C", str(platform.home / "gitops.git"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return run


@pytest.fixture
def repository(make_repository, request):
    name = request.node.name.removeprefix("test_").replace("_", "-")[:30].strip("-")
    return make_repository(name).write(
        {
            ".forge/repo.cue": configurations.REPOSITORY,
            ".forge/cue.mod/module.cue": configurations.MODULE % "contention",
        }
    )


def test_an_older_run_that_ends_late_does_not_go_back(platform, repository, gitops, tmp_path):
    gate, reached = tmp_path / "gate", tmp_path / "reached"
    script = f"touch {reached}; while [ ! -e {gate} ]; do sleep 0.1; done"
    older = repository.write({".forge/project.cue": project("app", "1", script)}).commit()
    repository.git("checkout", "-q", "-b", "slow")
    late = platform.start("run", str(repository.folder), "--json")
    eventually(reached.exists, "the step of the older run")
    repository.git("checkout", "-q", "main")
    newer = repository.write({".forge/project.cue": project("app", "2")}).commit()
    done = platform.forge("run", str(repository.folder), "--json", timeout=180)
    assert [found["status"] for found in done.json()["deployments"]] == ["active"], done.err
    head = gitops("rev-parse", "main")
    gate.touch()
    out, err = late.communicate(timeout=180)
    assert late.returncode == 0, err
    path = f"main:dev/{repository.folder.name}-app/release.yaml"
    assert yaml.safe_load(gitops("show", path))["spec"]["release"] == newer
    assert gitops("rev-parse", "main") == head
    history = platform.forge("env", "history", "dev", f"local/{repository.folder.name}/app", "--json").json()["items"]
    [refused] = [found for found in history if found["commit_sha"] == older]
    assert refused["status"] == "refused"
    assert older in refused["error"]["message"]
    assert newer in refused["error"]["message"]
    assert '"status": "refused"' in out


PAUSES = 5


class Foreign(threading.Thread):
    """Somebody else who pushes to the repository, again and again, and rests for some times as long as a push took.

    So a slow machine does not make it the one that is nearly always faster.
    """

    def __init__(self, remote, folder):
        super().__init__()
        self._folder, self._ended = folder, threading.Event()
        self.pushed = []
        self._git("clone", "-q", str(remote), str(folder), where=folder.parent)

    def run(self):
        took = 0.0
        while not self._ended.wait(PAUSES * took):
            started = time.monotonic()
            (self._folder / "note").write_text(str(len(self.pushed)))
            self._git("add", "note")
            self._git("commit", "-q", "-m", "note")
            while self._git("push", "-q", check=False).returncode != 0:
                self._git("pull", "-q", "--rebase")
            self.pushed.append(self._git("rev-parse", "HEAD").stdout.strip())
            took = time.monotonic() - started

    def end(self):
        self._ended.set()
        self.join(60)

    def _git(self, *arguments, where=None, check=True):
        command = ["git", "-C", str(where or self._folder), *AUTHOR, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check)


def test_twenty_deployments_at_a_time_among_others_who_push(platform, repository, gitops, tmp_path):
    names = [f"part-{number:02}" for number in range(MANY)]
    for name in names:
        repository.write({f"{name}/.forge/project.cue": project(name, "1")})
    repository.commit()
    before = gitops("rev-parse", "main")
    foreign = Foreign(platform.home / "gitops.git", tmp_path / "foreign")
    foreign.start()
    try:
        done = platform.forge("run", str(repository.folder), "--json", timeout=240)
        processes = [
            platform.start("deploy", "production", f"local/{repository.folder.name}/{name}", "1", "--json")
            for name in names
        ]
        ends = [process.communicate(timeout=240) for process in processes]
    finally:
        foreign.end()
    assert done.code == 0, done.err
    made = done.json()["deployments"]
    assert Counter(found["status"] for found in made) == {"active": MANY}, [found["error"] for found in made]
    assert [process.returncode for process in processes] == [0] * MANY, ends
    commits = gitops("log", "--format=%H", f"{before}..main").split()
    trailers_of = {sha: TRAILER.findall(gitops("log", "-1", "--format=%B", sha)) for sha in commits}
    trailers = Counter(trailer for found in trailers_of.values() for trailer in found)
    assert set(trailers.values()) == {1}
    assert len(trailers) == 2 * MANY
    assert foreign.pushed
    assert set(foreign.pushed) <= set(commits)
    changed = [gitops("diff-tree", "--no-commit-id", "--name-only", "-r", sha) for sha in commits if trailers_of[sha]]
    assert sorted(changed) == sorted(
        f"{environment}/{repository.folder.name}-{name}/release.yaml"
        for environment in ("dev", "production")
        for name in names
    )
