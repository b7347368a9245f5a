from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import RunningIndex, start_devpi, start_pypiserver


@pytest.fixture
def make_index(tmp_path: Path) -> Iterator[Callable[..., RunningIndex]]:
    """Starts a pypiserver, which speaks HTML only."""
    started = []

    def make(*options: str) -> RunningIndex:
        started.append(start_pypiserver(tmp_path, *options))
        return started[-1]

    yield make
    for running in started:
        running.stop()


@pytest.fixture
def index(make_index: Callable[..., RunningIndex]) -> RunningIndex:
    return make_index()


@pytest.fixture(scope="session")
def devpi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIndex]:
    """A devpi-server, which speaks JSON (PEP 691)."""
    folder = tmp_path_factory.mktemp("devpi")
    folder.chmod(0o700)
    running = start_devpi(folder)
    yield running
    running.stop()
