"""The caches of build tools: one folder for each repository, shared by its tasks, bounded in size."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from forge_sdk.logging import get_logger
from forge_worker.folders import make_folder, remove_tree, tree_size
from forge_worker.locks import locked, try_locked

TOOL_CACHES = {
    "XDG_CACHE_HOME": "xdg",
    "PIP_CACHE_DIR": "pip",
    "UV_CACHE_DIR": "uv",
    "GOCACHE": "go-build",
    "GOMODCACHE": "go-mod",
}
"""Folders by the variable that tells a tool of its own."""
TOOLS_SIZE = 5 * 2**30
"""Bytes that the caches of one repository may take; above, they are emptied when nobody uses them."""
MEASURE_EVERY_S = 600.0

logger = get_logger(__name__)


@asynccontextmanager
async def tools_in_use(tools: Path) -> AsyncIterator[None]:
    """The caches below `tools` are there, and are not emptied until the context ends."""
    make_folder(tools.parent)
    lock = tools.with_name(f"{tools.name}.lock")
    await _bound(tools, lock)
    async with locked(lock, shared=True):
        for folder in TOOL_CACHES.values():
            make_folder(tools / folder)
        yield


async def _bound(tools: Path, lock: Path) -> None:
    """Empty the caches where they have grown too large; measured now and then, since it walks all files."""
    if time.time() - _measured(lock) < MEASURE_EVERY_S:
        return
    with try_locked(lock) as free:
        if not free:
            return
        os.utime(lock)
        if await asyncio.to_thread(tree_size, tools) > TOOLS_SIZE:
            logger.info("tools_cache_emptied", path=str(tools))
            await asyncio.to_thread(remove_tree, tools)


def _measured(lock: Path) -> float:
    try:
        return lock.stat().st_mtime
    except FileNotFoundError:
        return 0.0
