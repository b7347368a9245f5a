"""Finds and ends everything that a program started, also what left its session or was adopted by init."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

MARKER = "FORGE_EXECUTION"
"""Environment variable that every process of a tree inherits, by which one that forked away is found. Its value is
`<worker's process id>.<its start>.<random>`, so that a later worker knows what a dead one left."""
POLL_S = 0.02
KILL_PATIENCE_S = 5.0
PROC = "/proc"
STAT_BYTES = 4096
ENVIRONMENT_CHUNK = 2**16


class _Process(NamedTuple):
    pid: int
    started: int
    parent: int
    session: int
    is_dead: bool
    """It ended and was not collected: nothing but its exit code is left."""


@dataclass(slots=True)
class ProcessTree:
    """The processes below `root`, the leader of its own session, which has `marker` in its environment."""

    root: int
    marker: str
    _known: set[tuple[int, int]] = field(default_factory=set)
    _since: int = field(init=False)

    def __post_init__(self) -> None:
        root = _read(self.root)
        self._since = root.started if root is not None else 0

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
        # Who is older than the root is none of its descendants; leaving those out spares most of the reading.
        processes = {process.pid: process for process in _processes() if process.started >= self._since}
        found = _with_descendants({pid for pid, process in processes.items() if self._belongs(process)}, processes)
        # An environment is dearer to read than everything else, and needed only of those that nothing else tells of.
        marked = {pid for pid in processes.keys() - found if _marker(pid) == self.marker}
        if marked:
            found = _with_descendants(found | marked, processes)
        members = [processes[pid] for pid in found if pid != os.getpid()]
        self._known |= {(process.pid, process.started) for process in members}
        return members

    def _belongs(self, process: _Process) -> bool:
        return process.session == self.root or (process.pid, process.started) in self._known


def new_marker() -> str:
    """A marker of this process for one tree."""
    return f"{_owner(os.getpid())}.{secrets.token_hex(16)}"


async def end_orphans() -> int:
    """End the processes of workers that died without ending them; how many there were."""
    orphans = await asyncio.to_thread(_orphans)
    for process in orphans:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGKILL)
    return len(orphans)


def _orphans() -> list[_Process]:
    found = [(process, _marker(process.pid)) for process in _processes()]
    return [process for process, marker in found if marker and not _owner_lives(marker)]


def _owner(pid: int) -> str:
    process = _read(pid)
    return f"{pid}.{process.started if process is not None and not process.is_dead else 0}"


def _owner_lives(marker: str) -> bool:
    owner = marker.rpartition(".")[0]
    pid = owner.partition(".")[0]
    return pid.isdigit() and _owner(int(pid)) == owner


def _with_descendants(found: set[int], processes: Mapping[int, _Process]) -> set[int]:
    grown = found
    while below := {pid for pid, process in processes.items() if process.parent in grown} - grown:
        grown = grown | below
    return grown


def _processes() -> list[_Process]:
    entries = (int(name) for name in os.listdir(PROC) if name.isdigit())  # noqa: PTH208 - a path object for each of hundreds
    return [process for entry in entries if (process := _read(entry)) is not None and not process.is_dead]


def _read(pid: int) -> _Process | None:
    """One process from `/proc/<pid>/stat` (proc(5)); `None` for one that is gone."""
    text = _content(pid, "stat", STAT_BYTES)
    if not text:
        return None
    fields = text.rpartition(b")")[2].split(None, 20)
    return _Process(pid, int(fields[19]), int(fields[1]), int(fields[3]), fields[0] in {b"Z", b"X"})


def _marker(pid: int) -> str | None:
    variables = _content(pid, "environ", ENVIRONMENT_CHUNK)
    _, found, rest = (b"\0" + variables).partition(f"\0{MARKER}=".encode())
    return rest.partition(b"\0")[0].decode(errors="replace") if found else None


def _content(pid: int, name: str, chunk: int) -> bytes:
    """A file of a process; empty where that is gone or not ours to read. Plain calls: one look reads hundreds of files."""
    try:
        descriptor = os.open(f"{PROC}/{pid}/{name}", os.O_RDONLY)
    except OSError:
        return b""
    content = b""
    with suppress(OSError):  # it ended while it was read
        while part := os.read(descriptor, chunk):
            content += part
            if len(part) < chunk:
                break
    os.close(descriptor)
    return content
