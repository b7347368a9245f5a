"""What drives a whole platform from outside: the command `forge`, git repositories, a package index."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import bcrypt
import pytest

BIN = Path(sys.executable).parent
AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
INDEX_USER, INDEX_PASSWORD = "ci", "s3cret-index-password"
SECRET = "publishers/pypi/token"
# Redelivery after the death of a worker is what several tests wait for.
FAST_REDELIVERY = "nats: {ack_wait_s: 2}\n"
API = FAST_REDELIVERY + "limits: {repository_share: 1.0, deployments_per_minute: 100}\n"
WAIT_S = 90


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Platform:
    """An embedded platform in a data directory of its own, driven by the command `forge`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "FORGE_HOME": str(home), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}

    def forge(self, *arguments: str, timeout: float = WAIT_S) -> Done:
        command = [str(BIN / "forge"), *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen:
        command = [str(BIN / "forge"), *arguments]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def configure(self, service: str, text: str) -> None:
        file = self.home / "config" / f"{service}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(text)

    def remember(self, name: str, value: str) -> None:
        with (self.home / "secrets.toml").open("a") as file:
            file.write(f'"{name}" = "{value}"\n')

    def services(self) -> dict[str, Any]:
        return self.forge("status", "--json").json().get("services", {})

    def kill(self, service: str) -> int:
        pid = self.services()[service]["pid"]
        os.kill(pid, signal.SIGKILL)
        return pid

    def token(self, client: str) -> str:
        """An access token of one of the platform's clients: `user`, `worker`, `dispatcher`."""
        secret = (self.home / "keys" / f"client-{client}.secret").read_text().strip()
        pair = base64.b64encode(f"{client}:{secret}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['issuer']}/token",
            data=b"grant_type=client_credentials",
            headers={"Authorization": f"Basic {pair}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["access_token"]

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection to the platform's database, with all rights."""
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=self.ports["postgres"],
            user="forge",
            password=(self.home / "services" / "postgres" / "password").read_text().strip(),
            database="forge",
        )
        try:
            yield connection
        finally:
            await connection.close()

    @property
    def ports(self) -> dict[str, int]:
        return json.loads((self.home / "platform.json").read_text())["ports"]

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"


@dataclass
class Index:
    """A running package index."""

    url: str
    folder: Path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running_index(folder: Path, port: int) -> Iterator[Index]:
    """A real package index in `folder`: pypiserver in a process of its own."""
    packages, htpasswd = folder / "packages", folder / "htpasswd"
    packages.mkdir(parents=True)
    htpasswd.write_text(f"{INDEX_USER}:{bcrypt.hashpw(INDEX_PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    command = [sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port), "-P", str(htpasswd)]
    process = subprocess.Popen(
        [*command, "-a", "update", "--disable-fallback", str(packages)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/simple/"
    try:
        eventually(lambda: process.poll() is None and answers(url), "package index")
        yield Index(url, packages)
    finally:
        process.terminate()
        process.wait(10)


class Repository:
    """A git repository that a test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *AUTHOR, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, files: dict[str, str]) -> "Repository":
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def eventually(condition: Callable[[], Any], what: str, seconds: float = WAIT_S) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    return pytest.fail(f"{what}: not within {seconds:.0f} s")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except (urllib.error.URLError, ConnectionError):
        return False
    return True
