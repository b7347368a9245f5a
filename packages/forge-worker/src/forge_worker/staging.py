"""Folders of one job's execution; what a crashed process leaves is swept with the private folders of executions."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from forge_worker.execution.private_folders import FOLDER
from forge_worker.folders import remove_tree
from forge_worker.locks import locked


@asynccontextmanager
async def job_folder(workspace: Path) -> AsyncIterator[Path]:
    """An empty folder of this execution alone: an orphan of an earlier delivery may still write to its own."""
    parent = workspace / FOLDER
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = parent / uuid.uuid4().hex
    lock = path.with_suffix(".lock")
    async with locked(lock):
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            await asyncio.to_thread(remove_tree, path)
            lock.unlink(missing_ok=True)
