"""The main job, from a commit to manifests, on this machine: `hatch run demo`.

Starts the embedded platform in a fresh data directory and a package index, makes a git repository of `examples/shop`, runs its pipeline,
and generates what Argo CD would apply. Nothing is left running, unless `--keep` is given.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from outside import BUCKET, Outside, OutsideError, object_store, package_index
from rich.console import Console
from rich.table import Table

SHOP = Path(__file__).parent / "shop"
BIN = Path(sys.executable).parent
CONFIGURED_INDEX = "http://127.0.0.1:8765/simple/"
CONFIGURED_STORE = "http://127.0.0.1:8766"
DEPLOYED = "api"

console = Console(highlight=False)


class DemoError(Exception):
    """A stage that did not do what it should."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the platform and the index running")
    parser.add_argument("--folder", type=Path, help="where to put everything (default: a new temporary folder)")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="forge-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as running:
            demo = Demo(folder.absolute())
            demo.run(running)
            demo.summary(time.monotonic() - began)
            if arguments.keep:
                running.pop_all()
                demo.say_what_is_left()
    except (DemoError, OutsideError) as error:
        console.print(f"[red]the demo failed:[/red] {error}; everything is in {folder}")
        return 1
    if not arguments.keep and arguments.folder is None:
        shutil.rmtree(folder)
    return 0


class Demo:
    """One demonstration in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "shop"
        self.gitops = folder / "gitops"
        self.environment = {
            **os.environ,
            "FORGE_HOME": str(folder / "platform"),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        self.run_facts: dict[str, Any] = {}
        self.releases: list[dict[str, Any]] = []
        self.manifests = ""
        self.outside: list[Outside] = []

    def run(self, running: contextlib.ExitStack) -> None:
        stage("package index and object store")
        index = running.enter_context(package_index(self.folder / "index"))
        store = running.enter_context(object_store(self.folder / "store"))
        self.outside = [index, store]
        stage("git repository of examples/shop")
        self._make_repository(index, store)
        stage("platform")
        self._forge("up")
        running.callback(self._forge, "down")
        self._remember_secret("publishers/pypi/token", index.credentials)
        self._remember_secret("publishers/s3/token", store.credentials)
        stage("pipeline: lint, test, build, publish, release, deploy to dev")
        self._pipeline()
        stage("what reached the world")
        self._show_releases()
        self._read_site(store)
        stage("production, by hand")
        self._promote()
        stage("a second commit, released and promoted by hand, and production rolled back")
        self._release_by_hand(self._change())
        self._promote()
        self._forge("rollback", "production", self._project(self._newest()))
        self._forge("env")
        stage("manifests, as Argo CD's plugin generates them")
        self._generate()

    def summary(self, seconds: float) -> None:
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("run", f"{self.run_facts['id']} {self.run_facts['status']}")
        for release in self.releases:
            add_release(table, release)
        for deployment in self._history():
            place = f"commit {deployment['gitops_commit_sha']} of {self._gitops_url()}"
            table.add_row(
                "deployment", f"release {deployment['release_number']} to {deployment['environment']}: {place}"
            )
        kinds = [line.removeprefix("kind: ") for line in self.manifests.splitlines() if line.startswith("kind: ")]
        table.add_row("manifests", ", ".join(kinds))
        console.print(table)
        console.print(f"[green]done in {seconds:.1f} s[/green]")

    def say_what_is_left(self) -> None:
        console.print(f"left running, in {self.folder}:")
        console.print(
            f"  export FORGE_HOME={self.environment['FORGE_HOME']}; {BIN / 'forge'} status; {BIN / 'forge'} runs"
        )
        places = ", ".join(f"{server.url} (process {server.pid})" for server in self.outside)
        console.print(f"  index and store {places}, repository {self.repository}, GitOps {self.gitops}")
        processes = " ".join(str(server.pid) for server in self.outside)
        console.print(
            f"  stop: FORGE_HOME={self.environment['FORGE_HOME']} {BIN / 'forge'} down --purge; kill {processes}"
        )

    def _make_repository(self, index: Outside, store: Outside) -> None:
        shutil.copytree(
            SHOP, self.repository, ignore=shutil.ignore_patterns(".venv", "__pycache__", "uv.lock", "dist", ".*_cache")
        )
        configuration = self.repository / ".forge" / "repo.cue"
        text = configuration.read_text().replace(CONFIGURED_INDEX, index.url).replace(CONFIGURED_STORE, store.url)
        configuration.write_text(text)
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("remote", "add", "origin", "https://github.com/acme/shop.git")
        self._commit("A small shop")

    def _change(self) -> str:
        """Something new to sell, in a new version of the package: what is published is never replaced; the commit."""
        manifest = self.repository / "services/api/pyproject.toml"
        manifest.write_text(manifest.read_text().replace('version = "1.0.0"', 'version = "1.1.0"'))
        prices = self.repository / "services/api/src/shop_api/prices.py"
        prices.write_text(prices.read_text().replace('"apple": 40', '"apple": 40, "pear": 55'))
        self._commit("Pears")
        return self._git("rev-parse", "HEAD").strip()

    def _commit(self, message: str) -> None:
        author = ("-c", "user.name=Demo", "-c", "user.email=demo@example.com", "-c", "commit.gpgsign=false")
        self._git("add", ".")
        self._git(*author, "commit", "--quiet", "-m", message)

    def _remember_secret(self, name: str, value: str) -> None:
        with Path(self.environment["FORGE_HOME"], "secrets.toml").open("a") as file:
            file.write(f'"{name}" = "{value}"\n')

    def _pipeline(self) -> None:
        self._forge("run", str(self.repository))
        latest = json.loads(self._forge("runs", "--json", capture=True))["items"][0]
        run = json.loads(self._forge("run", str(self.repository), "--json", capture=True))
        if run["id"] != latest["id"]:
            raise DemoError("running the same commit again made another run")
        if not run["releases"] or not run["deployments"]:
            raise DemoError("the run made no release or no deployment")
        self.run_facts, self.releases = run, list(run["releases"])

    def _release_by_hand(self, commit: str) -> None:
        project = self._project(self._newest())
        self._forge("release", "create", project, commit)
        self.releases.append(json.loads(self._forge("release", "show", project, commit, "--json", capture=True)))

    def _history(self) -> list[dict[str, Any]]:
        """Deployments of the service, the oldest first."""
        project = self._project(self._newest())
        found = [
            deployment
            for environment in ("dev", "production")
            for deployment in json.loads(self._forge("env", "history", environment, project, "--json", capture=True))[
                "items"
            ]
        ]
        return sorted(found, key=lambda deployment: str(deployment["created_at"]))

    def _show_releases(self) -> None:
        for release in self.releases:
            self._forge("release", "show", self._project(release), str(release["release_number"]))
        deployed = self._newest()
        self._forge("release", "verify", self._project(deployed), str(deployed["release_number"]))

    def _read_site(self, store: Outside) -> None:
        """Read the site's start page as its visitors do."""
        address = f"{store.url}/{BUCKET}/site/index.html"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                title = re.search(r"<title>(.*?)</title>", answer.read().decode())
        except urllib.error.URLError as error:
            raise DemoError(f"the site is not at {address}: {error}") from error
        console.print(f"the site is at {address}: {title[1] if title else 'without a title'}", markup=False)

    def _promote(self) -> None:
        release = self._newest()
        arguments = ("production", self._project(release), str(release["release_number"]))
        self._forge("diff", *arguments)
        self._forge("deploy", *arguments)

    def _newest(self) -> dict[str, Any]:
        """The newest release of the service."""
        return [release for release in self.releases if release["project"] == DEPLOYED][-1]

    def _project(self, release: dict[str, Any]) -> str:
        return f"{release['repository']}/{release['project']}"

    def _generate(self) -> None:
        self._call(["git", "clone", "--quiet", self._gitops_url(), str(self.gitops)])
        platform = json.loads(Path(self.environment["FORGE_HOME"], "platform.json").read_text())
        variables = {
            "FORGE_REGISTRY": f"127.0.0.1:{platform['ports']['registry']}",
            "FORGE_REGISTRY_PLAIN_HTTP": "true",
            "FORGE_PUBLIC_KEY_FILES": str(Path(self.environment["FORGE_HOME"], "keys", "signing.pub")),
            "FORGE_CACHE_DIR": str(self.folder / "cmp-cache"),
        }
        pointers = sorted(self.gitops.glob("*/*/release.yaml"))
        if not pointers:
            raise DemoError("the GitOps repository holds no pointer")
        for pointer in pointers:
            self._call([str(BIN / "forge-cmp"), "discover"], cwd=pointer.parent, extra=variables)
            self.manifests += self._call([str(BIN / "forge-cmp"), "generate"], cwd=pointer.parent, extra=variables)
        console.print(self.manifests, markup=False, soft_wrap=True)
        digest = hashlib.sha256(self.manifests.encode()).hexdigest()
        again = "".join(
            self._call([str(BIN / "forge-cmp"), "generate"], cwd=pointer.parent, extra=variables)
            for pointer in pointers
        )
        if hashlib.sha256(again.encode()).hexdigest() != digest:
            raise DemoError("generating the manifests again gave something else")

    def _gitops_url(self) -> str:
        return Path(self.environment["FORGE_HOME"], "gitops.git").as_uri()

    def _git(self, *arguments: str) -> str:
        return self._call(["git", "-C", str(self.repository), *arguments])

    def _forge(self, *arguments: str, capture: bool = False) -> str:
        if capture:
            return self._call([str(BIN / "forge"), *arguments])
        console.print(f"[dim]$ forge {' '.join(arguments)}[/dim]")
        code = subprocess.call([str(BIN / "forge"), *arguments], env=self.environment)
        if code != 0:
            raise DemoError(f"forge {arguments[0]} ended with exit code {code}")
        return ""

    def _call(self, command: list[str], cwd: Path | None = None, extra: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            command, env={**self.environment, **(extra or {})}, cwd=cwd, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise DemoError(f"{' '.join(command[:4])} ended with exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout


def stage(what: str) -> None:
    console.print(f"[bold]{time.strftime('%H:%M:%S')} {what}[/bold]")


def add_release(table: Table, release: dict[str, Any]) -> None:
    """The rows of a release: its image, and where each of its artifacts is."""
    table.add_row("release", f"{release['canonical_id']}, number {release['release_number']}, {release['status']}")
    table.add_row("  image", f"{release['oci_uri']} ({release['oci_digest']})")
    for artifact in release["artifacts"]:
        published = artifact["primary_published_uri"] or "no publisher configured"
        table.add_row(f"  {artifact['name']}", f"{published}, sealed in {artifact['tracking_oci_uri']}")


if __name__ == "__main__":
    sys.exit(main())
