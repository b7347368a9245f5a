"""Which repositories of the cache are usable, and which have to go."""

import asyncio
from contextlib import suppress
from pathlib import Path

from forge_sdk.logging import get_logger
from forge_worker.folders import remove_tree, tree_size
from forge_worker.locks import try_locked

logger = get_logger(__name__)


def use_lock(git_directory: Path) -> Path:
    """Lock file of one repository; its time of change is that of the last use."""
    return git_directory.with_suffix(".use")


def mark_corrupt(git_directory: Path) -> None:
    """From now on the repository is given to nobody; it is removed when its users are done."""
    git_directory.with_suffix(".bad").touch()


def is_usable(git_directory: Path) -> bool:
    """Whether the repository is there and was not found corrupt."""
    return git_directory.is_dir() and not git_directory.with_suffix(".bad").exists()


def usable_generations(directory: Path, name: str) -> list[Path]:
    """The repositories of a source that may be used, oldest first."""
    found = [path for path in directory.glob(f"{name}.*.git") if is_usable(path)]
    return sorted(found, key=lambda path: (_last_use(path), path.name))


async def evict(directory: Path, size: int) -> None:
    """Remove corrupt repositories, and the least recently used ones while all together are larger than `size` bytes."""
    sizes = await asyncio.to_thread(_sizes, directory)
    total = sum(sizes.values())
    for path in sorted(sizes, key=_last_use):
        corrupt = path.with_suffix(".bad").exists()
        if (corrupt or total > size) and await _remove(path):
            logger.info("git_cache_evicted", repository=path.name, corrupt=corrupt)
            total -= sizes[path]


async def _remove(git_directory: Path) -> bool:
    lock = use_lock(git_directory)
    with try_locked(lock) as free:
        if not free:
            return False
        await asyncio.to_thread(remove_tree, git_directory)
        for suffix in (".bad", ".lock", ".use"):
            git_directory.with_suffix(suffix).unlink(missing_ok=True)
    return True


def _sizes(directory: Path) -> dict[Path, int]:
    return {path: tree_size(path) for path in directory.glob("*.git")}


def _last_use(git_directory: Path) -> float:
    with suppress(OSError):
        return use_lock(git_directory).stat().st_mtime
    with suppress(OSError):
        return git_directory.stat().st_mtime
    return 0.0
