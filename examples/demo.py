"""The main job, from a commit to manifests, on this machine: `hatch run demo`.

Starts the embedded platform in a fresh data directory and a package index, makes a git repository of `examples/shop`, runs its pipeline,
and generates what Argo CD would apply. Nothing is left running, unless `--keep` is given.
"""

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import bcrypt
from rich.console import Console
from rich.table import Table

SHOP = Path(__file__).parent / "shop"
BIN = Path(sys.executable).parent
USER = "demo"
INDEX_READY_S = 30
CONFIGURED_INDEX = "http://127.0.0.1:8765/simple/"

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
    except DemoError as error:
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
        self.run_facts: dict[str, object] = {}
        self.manifests = ""
        self.index_url = ""
        self.index_pid = 0

    def run(self, running: contextlib.ExitStack) -> None:
        stage("package index")
        password = secrets.token_urlsafe(16)
        self.index_url = running.enter_context(self._index(password))
        stage("git repository of examples/shop")
        self._make_repository()
        stage("platform")
        self._forge("up")
        running.callback(self._forge, "down")
        self._remember_secret("publishers/pypi/token", f"{USER}:{password}")
        stage("pipeline: lint, test, build, publish, release, deploy")
        self._pipeline()
        stage("what reached the world")
        self._show_releases()
        stage("production, by hand")
        self._promote()
        stage("manifests, as Argo CD's plugin generates them")
        self._generate()

    def summary(self, seconds: float) -> None:
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("run", f"{self.run_facts['id']} {self.run_facts['status']}")
        for release in self.run_facts["releases"]:
            table.add_row(
                "release", f"{release['canonical_id']}, number {release['release_number']}, {release['status']}"
            )
            table.add_row("  image", f"{release['oci_uri']} ({release['oci_digest']})")
            for artifact in release["artifacts"]:
                published = artifact["primary_published_uri"] or "no publisher configured"
                table.add_row(f"  {artifact['name']}", f"{published}, sealed in {artifact['tracking_oci_uri']}")
        for deployment in self.run_facts["deployments"]:
            place = f"commit {deployment['gitops_commit_sha']} of {self._gitops_url()}"
            table.add_row("deployment", f"{deployment['project']} to {deployment['environment']}: {place}")
        kinds = [line.removeprefix("kind: ") for line in self.manifests.splitlines() if line.startswith("kind: ")]
        table.add_row("manifests", ", ".join(kinds))
        console.print(table)
        console.print(f"[green]done in {seconds:.1f} s[/green]")

    def say_what_is_left(self) -> None:
        console.print(f"left running, in {self.folder}:")
        console.print(
            f"  export FORGE_HOME={self.environment['FORGE_HOME']}; {BIN / 'forge'} status; {BIN / 'forge'} runs"
        )
        console.print(
            f"  index {self.index_url} (process {self.index_pid}), repository {self.repository}, GitOps {self.gitops}"
        )
        console.print(
            f"  stop: FORGE_HOME={self.environment['FORGE_HOME']} {BIN / 'forge'} down --purge; kill {self.index_pid}"
        )

    @contextlib.contextmanager
    def _index(self, password: str) -> Iterator[str]:
        packages, htpasswd = self.folder / "index", self.folder / "htpasswd"
        packages.mkdir()
        htpasswd.write_text(f"{USER}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n")
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "pypiserver",
            "run",
            "-i",
            "127.0.0.1",
            "-p",
            str(port),
            "-P",
            str(htpasswd),
            "-a",
            "update",
        ]
        with (self.folder / "index.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--disable-fallback", str(packages)], stdout=log, stderr=log, start_new_session=True
            )
        self.index_pid = process.pid
        url = f"http://127.0.0.1:{port}/simple/"
        try:
            wait_until_ready(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(10)

    def _make_repository(self) -> None:
        shutil.copytree(
            SHOP, self.repository, ignore=shutil.ignore_patterns(".venv", "__pycache__", "uv.lock", "dist", ".*_cache")
        )
        configuration = self.repository / ".forge" / "repo.cue"
        configuration.write_text(configuration.read_text().replace(CONFIGURED_INDEX, self.index_url))
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("remote", "add", "origin", "https://github.com/acme/shop.git")
        self._git("add", ".")
        author = ("-c", "user.name=Demo", "-c", "user.email=demo@example.com", "-c", "commit.gpgsign=false")
        self._git(*author, "commit", "--quiet", "-m", "A small shop")

    def _remember_secret(self, name: str, value: str) -> None:
        with Path(self.environment["FORGE_HOME"], "secrets.toml").open("a") as file:
            file.write(f'"{name}" = "{value}"\n')

    def _pipeline(self) -> None:
        self._forge("run", str(self.repository))
        runs = json.loads(self._forge("runs", "--json", capture=True))["items"]
        shown = self._forge("run", str(self.repository), "--json", capture=True)
        self.run_facts = json.loads(shown)
        if self.run_facts["id"] != runs[0]["id"]:
            raise DemoError("running the same commit again made another run")
        if not self.run_facts["releases"] or not self.run_facts["deployments"]:
            raise DemoError("the run made no release or no deployment")

    def _show_releases(self) -> None:
        for release in self.run_facts["releases"]:
            self._forge("release", "show", self._project(release), str(release["release_number"]))
            self._forge("release", "verify", self._project(release), str(release["release_number"]))

    def _promote(self) -> None:
        deployed = {deployment["project"] for deployment in self.run_facts["deployments"]}
        for release in self.run_facts["releases"]:
            if release["project"] in deployed:
                arguments = ("production", self._project(release), str(release["release_number"]))
                self._forge("diff", *arguments)
                self._forge("deploy", *arguments)
        self._forge("env")

    def _project(self, release: dict[str, object]) -> str:
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


def free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + INDEX_READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return
    raise DemoError(f"the package index did not become ready at {url}")


if __name__ == "__main__":
    sys.exit(main())
