"""Releases and deployments by hand: promotion, refusals, rollback, partial releases."""

import subprocess
from pathlib import Path

import configurations
import pytest
import yaml
from harness import Repository, free_port, running_index

PROJECT = """package project

name: "app"
release: on: [{branch: "main"}]
deployment: resources: [%s]
"""
CONFIG_MAP = """{
	apiVersion: "v1"
	kind:       "ConfigMap"
	metadata: name: "%s"
	data: version: "%s"
}"""
FROZEN = {"freeze": [{"start": "2020-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z", "reason": "stock taking"}]}


class Shop:
    """A repository with one project, `app`, that has no artifacts, and the platform that it is delivered with."""

    def __init__(self, platform, folder: Path) -> None:
        self.platform, self.repository = platform, Repository(folder)
        self.project = f"local/{folder.name}/app"
        self.repository.write(
            {
                ".forge/repo.cue": configurations.REPOSITORY,
                ".forge/cue.mod/module.cue": configurations.MODULE % folder.name,
            }
        )

    def commit(self, version: str, *names: str) -> str:
        objects = ", ".join(CONFIG_MAP % (name, version) for name in names or ("app",))
        self.repository.write({".forge/project.cue": PROJECT % objects})
        return self.repository.commit(f"version {version}")

    def run(self) -> dict:
        done = self.platform.forge("run", str(self.repository.folder), "--json", timeout=180)
        assert done.code == 0, done.err
        return done.json()

    def deliver(self, version: str, *names: str) -> dict:
        self.commit(version, *names)
        return self.run()

    def pointer(self, environment: str) -> dict | None:
        path = f"main:{environment}/{self.repository.folder.name}-app/release.yaml"
        command = ["git", "-C", str(self.platform.home / "gitops.git"), "show", path]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        return yaml.safe_load(shown.stdout) if shown.returncode == 0 else None

    def head(self) -> str:
        command = ["git", "-C", str(self.platform.home / "gitops.git"), "rev-parse", "main"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def forge(self, command: str, *arguments: str, environment: str | None = None):
        place = [environment] if environment else []
        return self.platform.forge(*command.split(), *place, self.project, *arguments, timeout=120)


@pytest.fixture(scope="module")
def environments(platform):
    """A further environment that is frozen."""
    file = platform.home / "config" / "environments.yaml"
    before = file.read_text()
    content = yaml.safe_load(before)
    content["environments"]["frozen"] = FROZEN
    file.write_text(yaml.safe_dump(content))
    yield content["environments"]
    file.write_text(before)


@pytest.fixture
def shop(platform, environments, tmp_path, request) -> Shop:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:30].strip("-")
    return Shop(platform, tmp_path / name)


def test_promoted_by_hand_after_dev(shop):
    [release] = shop.deliver("1")["releases"]
    done = shop.forge("deploy", "1", "--json", environment="production")
    assert (done.code, done.json()["status"]) == (0, "active")
    assert shop.pointer("production")["spec"]["digest"] == release["oci_digest"]
    head = shop.head()
    again = shop.forge("deploy", release["commit_sha"][:10], "--json", environment="production")
    assert (again.code, again.json()["id"]) == (0, done.json()["id"])
    assert shop.head() == head


def test_refused_where_dev_did_not_have_it(shop):
    base = shop.commit("1")
    shop.deliver("2")
    shop.repository.git("checkout", "-q", "-b", "side", base)
    side = shop.commit("3")
    made = shop.platform.forge("release", "create", shop.project, side, "--json", timeout=120)
    assert made.code == 0, made.err
    assert [(found["environment"], found["status"]) for found in made.json()["deployments"]] == [("dev", "refused")]
    done = shop.forge("deploy", side, environment="production")
    assert done.code == 1
    assert "policy after" in done.err
    assert "was active in dev before" in done.err
    assert shop.pointer("production") is None


def test_sideways_only_with_intent(shop):
    base = shop.commit("1")
    second = shop.deliver("2")["commit_sha"]
    shop.repository.git("checkout", "-q", "-b", "side", base)
    side = shop.commit("3")
    shop.platform.forge("release", "create", shop.project, side, timeout=120)
    refused = shop.forge("deploy", side, environment="dev")
    assert refused.code == 1
    assert second in refused.err
    assert side in refused.err
    assert shop.pointer("dev")["spec"]["release"] == second
    done = shop.forge("deploy", side, "--allow-divergent", "--json", environment="dev")
    assert (done.code, done.json()["intent"]) == (0, "divergent")
    assert shop.pointer("dev")["spec"]["release"] == side


def test_rollback_holds_until_lifted(shop):
    first = shop.deliver("1")["commit_sha"]
    shop.deliver("2")
    done = shop.forge("rollback", "--json", environment="dev")
    assert (done.code, done.json()["commit_sha"], done.json()["intent"]) == (0, first, "rollback")
    assert shop.pointer("dev")["spec"]["release"] == first
    assert f"forge env hold lift dev {shop.project}" in done.err
    assert shop.deliver("3")["deployments"] == []
    held = shop.platform.forge("env", "--json").json()["holds"]
    assert (shop.project, "dev") in [
        (f"{found['repository']}/{found['project']}", found["environment"]) for found in held
    ]
    assert shop.platform.forge("env", "hold", "lift", "dev", shop.project).code == 0
    assert [found["status"] for found in shop.deliver("4")["deployments"]] == ["active"]
    history = shop.platform.forge("env", "history", "dev", shop.project, "--json").json()["items"]
    assert [(found["release_number"], found["status"]) for found in history] == [
        (4, "active"),
        (1, "superseded"),
        (2, "superseded"),
        (1, "superseded"),
    ]


def test_a_freeze_says_its_end_and_reason(shop):
    shop.deliver("1")
    done = shop.forge("deploy", "1", environment="frozen")
    assert done.code == 1
    assert "until 2100-01-01 00:00 UTC (stock taking)" in done.err


def test_difference_before_it_is_deployed(shop):
    shop.deliver("1", "app", "old")
    shop.forge("deploy", "1", environment="production")
    shop.deliver("2", "app", "new")
    found = shop.platform.forge("diff", "production", shop.project, "2", "--json").json()
    assert [(entry["change"], entry["object"].split()[-1].rpartition("/")[2]) for entry in found["objects"]] == [
        ("deleted", "old"),
        ("changed", "app"),
        ("added", "new"),
    ]
    text = shop.platform.forge("diff", "production", shop.project, "2").out
    assert "DELETED ConfigMap" in text
    assert "+  version: '2'" in text
    assert shop.pointer("production")["spec"]["aliases"]["numeric"] == 1


def test_numbers_of_releases_at_once(shop):
    commits = [shop.commit("1"), shop.commit("2")]
    shop.platform.forge("run", str(shop.repository.folder), "--json", timeout=120)
    commits = [shop.commit("3"), shop.commit("4")]
    running = [shop.platform.start("release", "create", shop.project, commit, "--json") for commit in commits]
    ends = [process.communicate(timeout=150) for process in running]
    assert [process.returncode for process in running] == [0, 0], ends
    listed = shop.platform.forge("release", "list", shop.project, "--json").json()["items"]
    assert [found["release_number"] for found in listed] == [3, 2, 1]


def test_custom_names_and_verification(shop, tmp_path):
    shop.deliver("1")
    commit = shop.repository.git("rev-parse", "HEAD")
    named = shop.platform.forge("release", "create", shop.project, commit, "--alias", "launch", "--json").json()
    assert (named["release_number"], "launch" in [alias["alias"] for alias in named["aliases"]]) == (1, True)
    good = shop.platform.forge("release", "verify", shop.project, "launch")
    assert good.code == 0, good.err
    assert "release: ok" in good.out
    other = tmp_path / "other.pub"
    key = ["openssl", "ec", "-pubout", "-out", str(other)]
    private = subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"], capture_output=True, check=True
    )
    subprocess.run(key, input=private.stdout, capture_output=True, check=True)
    bad = shop.platform.forge("release", "verify", shop.project, "launch", "--public-key", str(other))
    assert bad.code == 1
    assert "release: fails" in bad.out


def test_partial_release_is_completed_without_a_rebuild(platform, environments, tmp_path):
    port = free_port()
    repository = Repository(tmp_path / "halving")
    repository.write(configurations.python_package("halving", f"http://127.0.0.1:{port}/simple/"))
    repository.commit("first")
    done = platform.forge("run", str(repository.folder), "--json", timeout=240)
    assert done.code == 0, done.err
    [release] = done.json()["releases"]
    assert release["status"] == "partial"
    still = platform.forge("release", "show", "local/halving/halving", "1").out
    assert "failed" in still
    with running_index(tmp_path / "index", port) as index:
        again = platform.forge("release", "retry", "local/halving/halving", "1", "--failed", "--json", timeout=240)
        assert again.code == 0, again.err
    after = again.json()
    assert (after["id"], after["status"], after["oci_digest"]) == (release["id"], "complete", release["oci_digest"])
    assert [row["state"] for row in after["publications"]] == ["published"]
    assert after["artifacts"][0]["tracking_oci_digest"] == release["artifacts"][0]["tracking_oci_digest"]
    [wheel] = index.folder.glob("halving-*.whl")
    assert after["publications"][0]["file"] == wheel.name
    run = platform.forge("runs", "--json").json()["items"][0]["id"]
    assert "taken from the sealed copy" in platform.forge("logs", run, "--phase", "artifact").out
