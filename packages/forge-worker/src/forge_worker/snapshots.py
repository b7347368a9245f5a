"""Whether a folder is still as it was left, told without reading a file of it."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LARGEST = 10_000
"""Entries of a folder that is remembered: of more than that, a look at each takes longer than doing the work anew."""
AHEAD_NS = 10**9
"""A file system whose clock is that far ahead of ours is not trusted."""
POLL_S = 0.001
CLOCK = getattr(time, "CLOCK_REALTIME_COARSE", time.CLOCK_REALTIME)
"""The clock of the file systems' times, where the system has one of its own for them."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The times at which the state of a folder and of everything in it last changed, in nanoseconds since 1970, by path.

    No program can set that time (inode(7), ctime): whatever is written, renamed, linked or given another mode has a new one, and so
    has the folder in which an entry came or went.
    """

    times: Mapping[str, int]

    def holds(self) -> bool:
        """Whether nothing has changed since."""
        try:
            return all(os.lstat(path).st_ctime_ns == changed for path, changed in self.times.items())
        except OSError:
            return False


async def take_snapshot(folder: Path) -> Snapshot | None:
    """The folder's state, which whoever changes it from now on can't keep; `None` where it is too large, or time is unclear."""
    times = await asyncio.to_thread(_times, folder)
    if len(times) > LARGEST:
        return None
    newest = max(times.values())
    # The kernel's times advance in steps of some milliseconds: a change within the step of the newest would not be seen.
    while (now := time.clock_gettime_ns(CLOCK)) <= newest:
        if newest - now > AHEAD_NS:
            return None
        await asyncio.sleep(POLL_S)
    return Snapshot(times)


def _times(folder: Path) -> dict[str, int]:
    times = {str(folder): os.lstat(folder).st_ctime_ns}
    left = [str(folder)]
    while left and len(times) <= LARGEST:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                times[entry.path] = entry.stat(follow_symlinks=False).st_ctime_ns
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
    return times
