"""Platforms of the fault tests: short waits, so that what is lost comes back soon."""

from collections.abc import Iterator

import pytest
from harness import FAST_REDELIVERY, Platform

WORKER = FAST_REDELIVERY + "pools: {discovery: 2, ci: 4, artifact: 1, release: 1}\ndrain_grace_s: 0.5\n"
LOG_LIMIT = 300 * 2**20


@pytest.fixture(scope="session")
def platform(tmp_path_factory) -> Iterator[Platform]:
    """A platform that the fault tests share: each leaves it as it found it, with new processes here and there."""
    found = Platform(tmp_path_factory.mktemp("chaos") / "data")
    found.configure("api", FAST_REDELIVERY)
    found.configure("worker", f"{WORKER}log_limit: {LOG_LIMIT}\n")
    started = found.forge("up")
    assert started.code == 0, started.err
    yield found
    stopped = found.forge("down", "--purge")
    assert stopped.code == 0, stopped.err
