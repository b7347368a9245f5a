"""A real index: pypiserver in a process of its own."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

USER, PASSWORD = "ci", "s3cret-password"


@dataclass
class RunningIndex:
    url: str
    folder: Path
    process: subprocess.Popen


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)  # poll of the server's own port
        else:
            return
    pytest.fail("pypiserver did not become ready")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RunningIndex]:
    folder = tmp_path / "index"
    folder.mkdir()
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    port = free_port()
    command = [sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port), "-P", str(htpasswd), "-a", "update"]
    process = subprocess.Popen([*command, "--disable-fallback", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/simple/", process)
        yield RunningIndex(f"http://127.0.0.1:{port}/simple/", folder, process)
    finally:
        process.terminate()
        process.wait(10)
