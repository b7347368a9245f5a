"""What the demonstration's artifacts are published to: a package index and an object store, each a process of its own."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt

USER = "demo"
BUCKET = "shop"
READY_S = 30


class OutsideError(Exception):
    """A server that did not start."""


@dataclass(frozen=True)
class Outside:
    """A server that runs: where it is, and `user:secret` of the account that may write."""

    url: str
    credentials: str
    pid: int


@contextlib.contextmanager
def package_index(folder: Path) -> Iterator[Outside]:
    """A package index (pypiserver) with its files in `folder`."""
    packages, accounts, password, port = (
        folder / "packages",
        folder / "htpasswd",
        secrets.token_urlsafe(16),
        free_port(),
    )
    packages.mkdir(parents=True)
    accounts.write_text(f"{USER}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n")
    command = ["-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port), "-P", str(accounts), "-a", "update"]
    url = f"http://127.0.0.1:{port}/simple/"
    with serving([*command, "--disable-fallback", str(packages)], folder / "log", lambda: answers(url)) as pid:
        yield Outside(url, f"{USER}:{password}", pid)


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[Outside]:
    """An object store with the bucket `BUCKET`, which everyone may read; its files are in `folder`."""
    secret, port = secrets.token_urlsafe(16), free_port()
    folder.mkdir(parents=True)
    command = [str(Path(__file__).with_name("object_store.py")), str(folder), str(port), BUCKET]
    environment = {**os.environ, "STORE_SECRET_KEY": secret}
    with serving(command, folder / "log", (folder / "ready").exists, environment) as pid:
        yield Outside(f"http://127.0.0.1:{port}", f"{USER}:{secret}", pid)


@contextlib.contextmanager
def serving(
    command: list[str], log: Path, is_ready: Callable[[], bool], environment: dict[str, str] | None = None
) -> Iterator[int]:
    """The process id of a Python program that runs in the context, from when it is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + READY_S
        while not is_ready():
            if time.monotonic() > deadline or process.poll() is not None:
                raise OutsideError(f"{Path(command[-1]).name} did not start: {log.read_text()[-500:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    """Whether something is served at the URL."""
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def free_port() -> int:
    """A port on loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
