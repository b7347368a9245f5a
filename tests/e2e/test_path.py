"""From a commit to manifests."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import configurations
import pytest
import yaml

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def delivered(platform, index, tmp_path_factory):
    """A foreign Python package with `.forge` added, run once."""
    from harness import Repository

    repository = Repository(tmp_path_factory.mktemp("repositories") / "doubling")
    repository.write(configurations.python_package("doubling", index.url, deployment=configurations.DEPLOYMENT))
    commit = repository.commit("first")
    done = platform.forge("run", str(repository.folder), "--json", timeout=180)
    assert done.code == 0, done.err
    return repository, commit, done.json()


def test_every_stage_succeeded(delivered):
    _, commit, run = delivered
    assert (run["status"], run["commit_sha"], run["attempt"]) == ("success", commit, 1)
    assert [(phase["name"], phase["status"]) for phase in run["phases"]] == [("lint", "success"), ("test", "success")]


def test_wheel_is_on_the_index(delivered, index):
    wheel = index.folder / "doubling-1.0.0-py3-none-any.whl"
    assert "doubling/__init__.py" in zipfile.ZipFile(wheel).namelist()


def test_release_has_number_aliases_and_artifact(delivered):
    _, commit, run = delivered
    release = run["releases"][0]
    assert release["canonical_id"] == f"local/doubling/doubling/{commit}"
    assert (release["release_number"], release["status"]) == (1, "complete")
    assert {alias["alias"] for alias in release["aliases"]} == {"1", "main-1"}
    assert release["artifacts"][0]["primary_published_uri"].endswith("/simple/doubling/")


def test_artifact_was_sealed_before_it_was_published(delivered, platform):
    release = delivered[2]["releases"][0]
    artifact = release["artifacts"][0]
    registry = f"127.0.0.1:{platform.ports['registry']}"
    for uri, digest in (
        (artifact["tracking_oci_uri"], artifact["tracking_oci_digest"]),
        (release["oci_uri"], release["oci_digest"]),
    ):
        repository = uri.rpartition(":")[0]
        manifest = read(f"http://{registry}/v2/{repository}/manifests/{digest}")
        signatures = read(f"http://{registry}/v2/{repository}/manifests/{digest.replace(':', '-')}")
        assert manifest["artifactType"].startswith("application/vnd.forge.")
        kinds = {found.get("artifactType") for found in signatures["manifests"]}
        assert "application/vnd.dev.sigstore.bundle.v0.3+json" in kinds


def test_pointer_names_the_release(delivered, platform, tmp_path):
    _, commit, run = delivered
    pointer = yaml.safe_load((gitops(platform, tmp_path) / "dev" / "doubling-doubling" / "release.yaml").read_text())
    assert pointer["kind"] == "ReleasePointer"
    assert pointer["spec"]["release"] == commit
    assert pointer["spec"]["digest"] == run["releases"][0]["oci_digest"]
    assert run["deployments"][0]["status"] == "active"


def test_manifests_hold_the_artifact(delivered, platform, index, tmp_path):
    folder = gitops(platform, tmp_path) / "dev" / "doubling-doubling"
    wheel = delivered[2]["releases"][0]["artifacts"][0]
    documents = list(yaml.safe_load_all(generate(platform, folder, tmp_path / "cache").stdout))
    assert [document["kind"] for document in documents] == ["ConfigMap"]
    digest = wheel["publisher_results"][0]["files"][0]["digest"]
    assert documents[0]["data"] == {"version": "1.0.0", "digest": digest}


def test_a_second_generation_needs_no_network(delivered, platform, tmp_path):
    folder = gitops(platform, tmp_path) / "dev" / "doubling-doubling"
    first = generate(platform, folder, tmp_path / "cache")
    second = generate(platform, folder, tmp_path / "cache", registry="127.0.0.1:9")
    assert (second.returncode, second.stdout) == (0, first.stdout)


def test_pointer_of_another_digest_gives_no_manifests(delivered, platform, tmp_path):
    folder = gitops(platform, tmp_path) / "dev" / "doubling-doubling"
    pointer = folder / "release.yaml"
    digest = yaml.safe_load(pointer.read_text())["spec"]["digest"]
    pointer.write_text(pointer.read_text().replace(digest, "sha256:" + "0" * 64))
    done = generate(platform, folder, tmp_path / "cache")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "release.yaml" in done.stderr.splitlines()[0]


def test_pointer_of_a_tampered_image_gives_no_manifests(delivered, platform, tmp_path):
    folder = gitops(platform, tmp_path) / "dev" / "doubling-doubling"
    blobs = platform.home / "services" / "registry" / "blobs" / "docker" / "registry" / "v2" / "blobs" / "sha256"

    def stored(digest):
        content = digest.removeprefix("sha256:")
        return blobs / content[:2] / content / "data"

    manifest = stored(yaml.safe_load((folder / "release.yaml").read_text())["spec"]["digest"])
    [layer] = json.loads(manifest.read_text())["layers"]
    resources = stored(layer["digest"])
    whole = resources.read_bytes()
    resources.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        done = generate(platform, folder, tmp_path / "cache")
    finally:
        resources.write_bytes(whole)
    assert (done.returncode, done.stdout) == (1, "")
    assert "digest_mismatch" in done.stderr.splitlines()[0]
    assert generate(platform, folder, tmp_path / "cache").returncode == 0


def test_same_commit_is_the_same_run(delivered, platform):
    repository, _, run = delivered
    again = platform.forge("run", str(repository.folder), "--json")
    assert (again.code, again.json()["id"]) == (0, run["id"])


def test_runs_and_logs_show_it(delivered, platform):
    run = delivered[2]
    listed = platform.forge("runs", "--json").json()["items"]
    assert run["id"] in [item["id"] for item in listed]
    logs = platform.forge("logs", run["id"], "--step", "unit")
    assert "1 passed" in logs.out
    assert run["id"] in platform.forge("runs").out


def test_plugins_of_the_worker_are_known(platform):
    sets = {found["service"]: found for found in platform.forge("plugins", "--platform", "--json").json()["sets"]}
    kinds = {(plugin["kind"], plugin["name"]) for found in sets.values() for plugin in found["plugins"]}
    assert {
        ("producer", "python"),
        ("step action", "command"),
        ("publisher", "pypi"),
        ("secret resolver", "local"),
    } <= kinds


def gitops(platform, folder: Path) -> Path:
    clone = folder / "gitops"
    subprocess.run(["git", "clone", "-q", str(platform.home / "gitops.git"), str(clone)], check=True)
    return clone


def generate(platform, folder: Path, cache: Path, registry: str = "") -> subprocess.CompletedProcess:
    variables = {
        "FORGE_REGISTRY": registry or f"127.0.0.1:{platform.ports['registry']}",
        "FORGE_REGISTRY_PLAIN_HTTP": "true",
        "FORGE_PUBLIC_KEY_FILES": str(platform.home / "keys" / "signing.pub"),
        "FORGE_CACHE_DIR": str(cache),
    }
    command = [str(BIN / "forge-cmp"), "generate"]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )


def read(url: str) -> dict:
    import urllib.request

    types = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": types}), timeout=10) as answer:
        return json.load(answer)
