"""Measuring: the floor and our own work in turn, in one run, so that a busy machine slows both."""

import re
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPETITIONS = 7


@dataclass(frozen=True)
class Row:
    """One line of the results; `floor` and `measured` in `unit`, `ratio` as the target counts it."""

    id: str
    what: str
    unit: str
    floor: float | None
    measured: float | None
    ratio: float | None
    target: str
    met: bool | None


class SkippedError(Exception):
    """A benchmark that can't run here, and why."""


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """How long one run takes, in milliseconds."""
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1000


async def alternating(*works: Callable[[], Awaitable[float]], repetitions: int = REPETITIONS) -> Sequence[float]:
    """The median of each work's own figures; the works take turns, and a first round that warms caches is not counted."""
    figures: list[list[float]] = [[] for _ in works]
    for round_number in range(repetitions + 1):
        for position, work in enumerate(works):
            figure = await work()
            if round_number > 0:
                figures[position].append(figure)
    return [statistics.median(found) for found in figures]


class Memory:
    """What this process needs from now on (MiB): `getrusage` knows the peak since its start only, and that of who started it."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._now = _mib("VmRSS")

    @property
    def peak(self) -> float:
        """The most that it had, whatever it had before."""
        return _mib("VmHWM")

    @property
    def growth(self) -> float:
        """The most that it had above what it had at first."""
        return self.peak - self._now


def _mib(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise SkippedError(f"/proc/self/status has no {name}")
    return int(found[1]) / 1024
