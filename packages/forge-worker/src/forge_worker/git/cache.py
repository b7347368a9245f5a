"""One bare repository per source, shared by all processes on one cache directory.

Files of a source: `<name>.lock` (held while it is fetched into or made anew), and for each generation
`<name>.<generation>.git` with `.use` (lock: shared by users, exclusive for who removes it; its time is that of the last use) and `.bad` (found
corrupt: no new use). A generation that is corrupt is left to its users and replaced by the next one.
"""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.retry import WORKER_UNAVAILABLE_RETRY
from forge_sdk.secrets import Secret
from forge_worker.folders import make_folder
from forge_worker.git.command import Git
from forge_worker.git.credentials import authenticated
from forge_worker.git.eviction import evict, is_usable, mark_corrupt, usable_generations, use_lock
from forge_worker.git.failures import is_corruption
from forge_worker.git.urls import cache_name, check_clone_url
from forge_worker.locks import locked

Credentials = Callable[[], Awaitable[Secret | None]]
MAX_REBUILDS = 2
MAX_KNOWN = 10_000
"""Commits that were found whole and are not looked at again: a checkout that finds damage later has the cache made anew."""

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CachedCommit:
    """A commit in a bare repository; `time` is the committer's, in seconds since 1970."""

    git_directory: Path
    sha: str
    time: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    url: str
    sha: str
    ref: str | None
    credentials: Credentials | None


class RepositoryCache:
    """The cache below `directory`, at most about `size` bytes; what is in use is never evicted, so it may be more."""

    def __init__(self, directory: Path, size: int, *, allow_local: bool = False) -> None:
        self._directory, self._size, self._allow_local = directory, size, allow_local
        self._times: dict[tuple[Path, str], int] = {}
        self._newest: dict[str, Path] = {}
        self.hits, self.misses = 0, 0

    @asynccontextmanager
    async def commit(
        self, url: str, sha: str, *, ref: str | None = None, credentials: Credentials | None = None
    ) -> AsyncIterator[CachedCommit]:
        """The commit, fetched where it is missing; the repository is not evicted while the context is open.

        `ref` helps with servers that don't give commits by their SHA; `credentials` is asked when there is something to fetch. Raises
        `PlatformError` (`git_failed`; `not_found` where the source has no such commit) and what the credentials raise.
        """
        check_clone_url(url, allow_local=self._allow_local)
        make_folder(self._directory)
        wanted = _Wanted(url, sha, ref, credentials)
        for rebuilds in range(MAX_REBUILDS + 1):
            git_directory = await self._generation(url)
            async with locked(use_lock(git_directory), shared=True):
                if not git_directory.is_dir():
                    continue
                os.utime(use_lock(git_directory))
                try:
                    found = await self._ready(git_directory, wanted)
                except PlatformError as error:
                    if not is_corruption(error) or rebuilds == MAX_REBUILDS:
                        raise
                    logger.warning("git_cache_corrupt", repository=git_directory.name, error=error.message)
                    mark_corrupt(git_directory)
                    continue
                yield found
                return
        raise PlatformError(
            f"the cached repository of {url} disappears again and again: check the cache directory {self._directory}",
            code=ErrorCode.GIT_FAILED,
            component="git",
        )

    async def evict(self) -> None:
        """Remove corrupt repositories, and the least recently used ones while the cache is too large."""
        await evict(self._directory, self._size)

    async def _generation(self, url: str) -> Path:
        name = cache_name(url)
        known = self._newest.get(name)
        if known is not None and is_usable(known):
            return known
        self._newest[name] = found = await self._found(name)
        return found

    async def _found(self, name: str) -> Path:
        async with locked(self._directory / f"{name}.lock"):
            usable = usable_generations(self._directory, name)
            if usable:
                return usable[-1]
            made = self._directory / f".new-{uuid.uuid4().hex}"
            await self._git(self._directory).run("init", "--quiet", "--bare", "--template=", str(made))
            path = self._directory / f"{name}.{uuid.uuid4().hex[:12]}.git"
            made.rename(path)
            return path

    async def _ready(self, git_directory: Path, wanted: _Wanted) -> CachedCommit:
        known = self._times.get((git_directory, wanted.sha))
        if known is not None:
            self.hits += 1
            return CachedCommit(git_directory, wanted.sha, known)
        git = self._git(git_directory)
        if await self._has(git, wanted.sha):
            self.hits += 1
        else:
            self.misses += 1
            async with locked(git_directory.with_suffix(".lock")):
                if not await self._has(git, wanted.sha):
                    await self._fetch(git, wanted)
            await self.evict()
        # Once for each commit in each process: everything that the commit names must be there and readable.
        await git.run("rev-list", "--objects", "--no-walk", "--quiet", wanted.sha)
        time = int(await git.run("show", "--no-patch", "--format=%ct", wanted.sha, "--"))
        if len(self._times) >= MAX_KNOWN:
            self._times.clear()
        self._times[git_directory, wanted.sha] = time
        return CachedCommit(git_directory, wanted.sha, time)

    async def _has(self, git: Git, sha: str) -> bool:
        return await git.succeeds("cat-file", "-e", f"{sha}^{{commit}}")

    async def _fetch(self, git: Git, wanted: _Wanted) -> None:
        secret = await wanted.credentials() if wanted.credentials is not None else None
        async with authenticated(git, secret) as ready:
            try:
                await self._fetch_refs(ready, wanted.url, f"{wanted.sha}:refs/forge/commits/{wanted.sha}")
            except PlatformError as error:
                if error.transient or error.code is not ErrorCode.GIT_FAILED or is_corruption(error):
                    raise
                await self._fetch_by_ref(ready, wanted, error)

    async def _fetch_by_ref(self, git: Git, wanted: _Wanted, refused: PlatformError) -> None:
        """For servers that give nothing by SHA: the ref of the event, then all branches and tags."""
        everything = ("+refs/heads/*:refs/forge/heads/*", "+refs/tags/*:refs/forge/tags/*")
        attempts = [(f"+{wanted.ref}:refs/forge/events/{wanted.sha}",)] if wanted.ref else []
        for refspecs in (*attempts, everything):
            with suppress(PlatformError):
                await self._fetch_refs(git, wanted.url, *refspecs)
            if await self._has(git, wanted.sha):
                return
        raise PlatformError(
            f"commit {wanted.sha} is not in {wanted.url}: it was never pushed there, or its branch was rewritten since",
            code=ErrorCode.NOT_FOUND,
            component="git",
        ) from refused

    async def _fetch_refs(self, git: Git, url: str, *refspecs: str) -> None:
        await WORKER_UNAVAILABLE_RETRY.call(
            lambda: git.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force", "--", url, *refspecs)
        )

    def _git(self, directory: Path) -> Git:
        return Git(directory, allow_local=self._allow_local)
