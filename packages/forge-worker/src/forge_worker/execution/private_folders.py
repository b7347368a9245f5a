"""HOME and TMPDIR of one task, empty at its start; those that a task never touched are given to the next one."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from forge_worker.folders import make_folder, remove_tree
from forge_worker.locks import locked, try_locked
from forge_worker.snapshots import Snapshot, take_snapshot

FOLDER, HOME, TMP = "private", "home", "tmp"


class PrivateFolders:
    """Folders below `workspace`; each has a lock file, which is held while it is in use."""

    def __init__(self, workspace: Path) -> None:
        self._directory = workspace / FOLDER
        self._untouched: dict[Path, Snapshot] = {}

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Path]:
        """A folder with `home` and `tmp`, both empty, that nobody else uses until the context ends."""
        path, state = self._untouched.popitem() if self._untouched else (self._directory / uuid.uuid4().hex, None)
        make_folder(self._directory)
        async with locked(path.with_suffix(".lock")):
            if state is None or not state.holds():
                state = await _made(path)
            try:
                yield path
            finally:
                if state is not None and state.holds():
                    self._untouched[path] = state
                else:
                    await asyncio.to_thread(remove_tree, path)
                    path.with_suffix(".lock").unlink(missing_ok=True)

    async def sweep(self) -> None:
        """Remove the folders that no worker uses now, for one those that a crashed process left."""
        for lock in self._directory.glob("*.lock"):
            with try_locked(lock) as free:
                if free:
                    await asyncio.to_thread(remove_tree, lock.with_suffix(""))
                    lock.unlink(missing_ok=True)


async def _made(path: Path) -> Snapshot | None:
    await asyncio.to_thread(remove_tree, path)
    for folder in (path, path / HOME, path / TMP):
        folder.mkdir(mode=0o700)
    return await take_snapshot(path)
