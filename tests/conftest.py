"""Fixtures of the suites of the whole platform."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import bcrypt
import pytest
from harness import (
    FAST_REDELIVERY,
    INDEX_PASSWORD,
    INDEX_USER,
    SECRET,
    Index,
    Platform,
    Repository,
    answers,
    eventually,
)


@pytest.fixture(scope="session")
def platform(tmp_path_factory) -> Iterator[Platform]:
    """A platform that the tests of the session share."""
    found = Platform(tmp_path_factory.mktemp("platform") / "data")
    found.configure("api", FAST_REDELIVERY)
    found.configure("worker", FAST_REDELIVERY + "pools: {discovery: 2, ci: 4, artifact: 2, release: 2}\n")
    started = found.forge("up")
    if started.code != 0:
        log = found.home / "logs"
        pytest.fail(
            f"forge up failed: {started.err}\n" + "\n".join(path.read_text()[-3000:] for path in log.glob("*.log"))
        )
    found.remember(SECRET, f"{INDEX_USER}:{INDEX_PASSWORD}")
    yield found
    stopped = found.forge("down", "--purge")
    assert stopped.code == 0, stopped.err


@pytest.fixture(scope="session")
def index(tmp_path_factory) -> Iterator[Index]:
    """A real package index: pypiserver in a process of its own."""
    folder = tmp_path_factory.mktemp("index")
    packages, htpasswd = folder / "packages", folder / "htpasswd"
    packages.mkdir()
    htpasswd.write_text(f"{INDEX_USER}:{bcrypt.hashpw(INDEX_PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
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
    process = subprocess.Popen(
        [*command, "--disable-fallback", str(packages)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/simple/"
    try:
        eventually(lambda: process.poll() is None and answers(url), "package index")
        yield Index(url, packages)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def make_repository(tmp_path) -> Callable[[str], Repository]:
    return lambda name: Repository(tmp_path / name)
