"""Private writable worktrees, reused after cleaning.

A worktree is a repository of its own that borrows the objects of the cache (`objects/info/alternates`): repository code may do what it
likes in its `.git`, which is thrown away before the next use. Only the files stay, and the index of the checkout, kept beside them,
which knows their times: a reuse writes just what differs. Where the same commit is wanted again and nothing was touched, `.git` included,
there is nothing to do.
"""

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from forge_sdk.errors import ErrorCode, PlatformError, TransientError
from forge_sdk.logging import get_logger
from forge_worker.folders import make_folder, remove_tree
from forge_worker.git.cache import CachedCommit
from forge_worker.git.command import Git
from forge_worker.git.eviction import mark_corrupt
from forge_worker.git.failures import is_corruption
from forge_worker.locks import try_locked, try_locked_file
from forge_worker.snapshots import Snapshot, take_snapshot

FOLDER = "worktrees"
CONFIGURATION = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
BUSY = b"busy"

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the last user of a worktree was given."""

    commit: CachedCommit
    state: Snapshot


class Worktrees:
    """Worktrees below `directory`, by repository; each has a lock file that is held, and says `busy`, while it is in use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / FOLDER
        self._given: dict[Path, _Given] = {}
        self._used: set[Path] = set()

    @asynccontextmanager
    async def checkout(self, commit: CachedCommit) -> AsyncIterator[Path]:
        """A clean checkout of `commit` that nobody else uses until the context ends; the commit must stay in use as long.

        Raises `PlatformError` (`git_failed`), transient where the cache turned out to be corrupt: the next fetch makes it anew.
        """
        with self._slot(commit) as path:
            try:
                await self._prepare(path, commit)
            except PlatformError as error:
                if not is_corruption(error):
                    raise
                mark_corrupt(commit.git_directory)
                raise TransientError(
                    f"the cached repository is corrupt and will be cloned again: {error.message}",
                    code=ErrorCode.GIT_FAILED,
                    component="git",
                ) from error
            yield path

    async def sweep(self, repositories: Path) -> None:
        """Remove worktrees that a crashed process left, and those whose repository is gone from the cache `repositories`."""
        for lock in self._directory.glob("*/*.lock"):
            orphaned = not (repositories / f"{lock.parent.name}.git").is_dir()
            with try_locked(lock) as free:
                if free and (orphaned or lock.read_bytes() == BUSY):
                    logger.info("worktree_swept", path=str(lock.with_suffix("")))
                    await asyncio.to_thread(remove_tree, lock.with_suffix(""))
                    _kept_index(lock).unlink(missing_ok=True)
                    lock.unlink(missing_ok=True)

    @contextmanager
    def _slot(self, commit: CachedCommit) -> Iterator[Path]:
        folder = self._directory / commit.git_directory.stem
        for lock in self._locks(folder, commit):
            with try_locked_file(lock) as descriptor:
                if descriptor is not None and lock.exists():
                    path = lock.with_suffix("")
                    self._used.add(path)
                    try:
                        os.pwrite(descriptor, BUSY, 0)
                        yield path
                        os.ftruncate(descriptor, 0)
                    finally:
                        self._used.discard(path)
                    return

    def _locks(self, folder: Path, commit: CachedCommit) -> Iterator[Path]:
        """Locks of worktrees that may be free: first those that have the commit already, at last a new one."""
        make_folder(folder)
        for path, given in list(self._given.items()):
            if given.commit == commit and path not in self._used:
                yield path.with_suffix(".lock")
        yield from sorted(lock for lock in folder.glob("*.lock") if lock.with_suffix("") not in self._used)
        yield folder / f"{uuid.uuid4().hex[:12]}.lock"

    async def _prepare(self, path: Path, commit: CachedCommit) -> None:
        given = self._given.pop(path, None)
        if given is None or given.commit != commit or not await asyncio.to_thread(given.state.holds):
            await self._make(path, commit)
            state = await take_snapshot(path)
            given = _Given(commit, state) if state is not None else None
        if given is not None:
            self._given[path] = given

    async def _make(self, path: Path, commit: CachedCommit) -> None:
        if not _is_folder(path) or not _kept_index(path).is_file():
            await self._fresh(path, commit)
            return
        try:
            await self._check_out(path, commit)
        except (PlatformError, OSError) as error:
            logger.info("worktree_discarded", path=str(path), error=str(error))
            await self._fresh(path, commit)

    async def _fresh(self, path: Path, commit: CachedCommit) -> None:
        await asyncio.to_thread(remove_tree, path)
        await asyncio.to_thread(path.mkdir, mode=0o700)
        _kept_index(path).unlink(missing_ok=True)
        await self._check_out(path, commit)

    async def _check_out(self, path: Path, commit: CachedCommit) -> None:
        git, kept = Git(path), _kept_index(path)
        await asyncio.to_thread(_new_repository, path / ".git", commit)
        if kept.exists():
            # With its time, by which git knows entries that may have changed in the second in which they were written.
            await asyncio.to_thread(shutil.copy2, kept, path / ".git" / "index")
            # Before the checkout, since a link in place of a folder would make its files look as they were left.
            await git.run("clean", "-xffdq")
        await git.run("reset", "--hard", "--quiet", commit.sha)
        await asyncio.to_thread(shutil.copy2, path / ".git" / "index", kept)


def _new_repository(folder: Path, commit: CachedCommit) -> None:
    """What `git init` makes (gitrepository-layout(5)), at the commit, with the objects of the cache."""
    remove_tree(folder)
    for name in ("objects/info", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text(f"{commit.sha}\n")
    (folder / "config").write_text(CONFIGURATION)
    (folder / "objects" / "info" / "alternates").write_text(f"{commit.git_directory / 'objects'}\n")


def _kept_index(path: Path) -> Path:
    return path.with_suffix(".index")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
