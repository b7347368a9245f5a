"""Fixtures of the suites of the whole platform."""

from collections.abc import Callable, Iterator

import pytest
from harness import (
    API,
    FAST_REDELIVERY,
    INDEX_PASSWORD,
    INDEX_USER,
    SECRET,
    Index,
    Platform,
    Repository,
    free_port,
    running_index,
)


@pytest.fixture(scope="session")
def platform(tmp_path_factory) -> Iterator[Platform]:
    """A platform that the tests of the session share."""
    found = Platform(tmp_path_factory.mktemp("platform") / "data")
    found.configure("api", API)
    found.configure("worker", FAST_REDELIVERY + "pools: {discovery: 2, ci: 4, artifact: 2, release: 20}\n")
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
    with running_index(tmp_path_factory.mktemp("index"), free_port()) as found:
        yield found


@pytest.fixture
def make_repository(tmp_path) -> Callable[[str], Repository]:
    return lambda name: Repository(tmp_path / name)
