"""Finds and ends everything that a program started, also what left its session or was adopted by init."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MARKER = "FORGE_EXECUTION"
"""Environment variable that every process of a tree inherits, by which one that forked away is found."""
POLL_S = 0.02
KILL_PATIENCE_S = 5.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    started: int
    parent: int
    session: int


@dataclass(slots=True)
class ProcessTree:
    """The processes below `root`, the leader of its own session, which has `marker` in its environment."""

    root: int
    marker: str
    _known: set[tuple[int, int]] = field(default_factory=set)

    async def end(self, grace_s: float) -> bool:
        """SIGTERM to all, after `grace_s` SIGKILL until nothing is left; whether nothing is."""
        if await self._signalled(signal.SIGTERM, grace_s, again=False):
            return True
        return await self._signalled(signal.SIGKILL, KILL_PATIENCE_S, again=True)

    async def _signalled(self, number: signal.Signals, patience_s: float, *, again: bool) -> bool:
        deadline = time.monotonic() + patience_s
        told: set[tuple[int, int]] = set()
        while members := await asyncio.to_thread(self._members):
            for process in members:
                identity = (process.pid, process.started)
                if again or identity not in told:
                    told.add(identity)
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(process.pid, number)
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _members(self) -> list[_Process]:
        processes = {process.pid: process for process in _processes()}
        found = {pid for pid, process in processes.items() if self._belongs(process)}
        grown = True
        while grown:
            below = {pid for pid, process in processes.items() if process.parent in found} - found
            found |= below
            grown = bool(below)
        members = [processes[pid] for pid in found if pid != os.getpid()]
        self._known |= {(process.pid, process.started) for process in members}
        return members

    def _belongs(self, process: _Process) -> bool:
        return (
            process.session == self.root
            or (process.pid, process.started) in self._known
            or _has_marker(process.pid, f"{MARKER}={self.marker}".encode())
        )


def _processes() -> list[_Process]:
    entries = (int(name) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208 - a path object for each of hundreds
    return [process for entry in entries if (process := _read(entry)) is not None]


def _read(pid: int) -> _Process | None:
    """One process from `/proc/<pid>/stat` (proc(5)); `None` for one that is gone or a zombie."""
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = text.rpartition(b")")[2].split()
    if fields[0] in {b"Z", b"X"}:
        return None
    return _Process(pid=pid, started=int(fields[19]), parent=int(fields[1]), session=int(fields[3]))


def _has_marker(pid: int, marker: bytes) -> bool:
    try:
        return marker in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
