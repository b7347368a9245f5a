"""Package indexes as processes of their own."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

USER, PASSWORD = "ci", "s3cret-password"
START_SECONDS = 90


@dataclass
class RunningIndex:
    url: str
    folder: Path
    process: subprocess.Popen

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_pypiserver(tmp_path: Path, *options: str) -> RunningIndex:
    folder = tmp_path / "index"
    folder.mkdir()
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    port = _free_port()
    arguments = [
        "-i",
        "127.0.0.1",
        "-p",
        str(port),
        "-P",
        str(htpasswd),
        "-a",
        "update",
        "--disable-fallback",
        *options,
    ]
    process = _start("pypiserver", "run", *arguments, str(folder))
    index = RunningIndex(f"http://127.0.0.1:{port}/simple/", folder, process)
    _wait_until_ready(index.url, index)
    return index


def start_devpi(folder: Path) -> RunningIndex:
    """A devpi with the index `forge/prod`, whose user is the one of the tests. It speaks JSON (PEP 691)."""
    secret = folder / "secret"
    secret.write_bytes(base64.b64encode(os.urandom(32)))
    secret.chmod(0o600)
    server = str(folder / "server")
    # A weak key derivation: the ordinary one takes half a minute on a busy machine.
    cheap = ["--argon2-memory-cost", "8", "--argon2-time-cost", "1", "--argon2-parallelism", "1"]
    initialised = ["--serverdir", server, "--root-passwd", PASSWORD, "--no-root-pypi"]
    subprocess.run(
        [sys.executable, "-c", "from devpi_server.init import init; init()", *initialised],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=START_SECONDS,
    )
    port = _free_port()
    listen = ["--host", "127.0.0.1", "--port", str(port), "--serverdir", server, "--secretfile", str(secret)]
    process = _start("-devpi", *listen, *cheap)
    root = f"http://127.0.0.1:{port}"
    index = RunningIndex(f"{root}/{USER}/prod/+simple/", folder, process)
    _wait_until_ready(f"{root}/+api", index)
    _call("PUT", f"{root}/{USER}", {"password": PASSWORD})
    token = _call("POST", f"{root}/+login", {"user": USER, "password": PASSWORD})["result"]["password"]
    login = base64.b64encode(f"{USER}:{token}".encode()).decode()
    _call("PUT", f"{root}/{USER}/prod", {"volatile": False, "bases": [], "type": "stage"}, login)
    return index


def _start(module: str, *arguments: str) -> subprocess.Popen:
    program = ["-c", "from devpi_server.main import main; main()"] if module == "-devpi" else ["-m", module]
    return subprocess.Popen(
        [sys.executable, *program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _call(method: str, url: str, body: dict[str, object], login: str = "") -> dict:
    headers = {"Content-Type": "application/json", **({"X-Devpi-Auth": login} if login else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_until_ready(url: str, index: RunningIndex) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and index.process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)  # poll of the server's own port
        else:
            return
    index.stop()
    pytest.fail("the package index did not become ready")
