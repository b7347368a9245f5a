"""The environment that steps, producers and their tools see."""

import asyncio
import fnmatch
import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from forge_sdk.configuration import WorkerConfiguration
from forge_sdk.logging import get_logger
from forge_worker.folders import make_folder, remove_tree, tree_size
from forge_worker.locks import locked, try_locked

COPIED = ("PATH", "LANG", "LC_*", "TZ")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOL_CACHES = {
    "XDG_CACHE_HOME": "xdg",
    "PIP_CACHE_DIR": "pip",
    "UV_CACHE_DIR": "uv",
    "GOCACHE": "go-build",
    "GOMODCACHE": "go-mod",
}
TOOLS_SIZE = 5 * 2**30
"""Bytes that the tools' caches of one repository may take; above, they are emptied when nobody uses them."""
MEASURE_EVERY_S = 600.0
PRIVATE = "private"
_USER_INFORMATION = re.compile(r"//[^/\s@]*@")
_SECRET_NAME = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|_KEY$|_AUTH$|USERNAME", re.IGNORECASE)

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExecutionFacts:
    """What `FORGE_*` variables tell; `commit_time` in seconds since 1970 (`CachedCommit.time`), `extra` e.g. FORGE_PHASE."""

    repository: str
    commit_sha: str
    commit_time: int
    run_id: str
    job_id: str
    project: str
    project_path: str
    branch: str | None = None
    tag: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """The variables by name; what is not known is left out."""
        facts = {
            "FORGE_REPOSITORY": self.repository,
            "FORGE_COMMIT_SHA": self.commit_sha,
            "FORGE_RUN_ID": self.run_id,
            "FORGE_JOB_ID": self.job_id,
            "FORGE_PROJECT": self.project,
            "FORGE_PROJECT_PATH": self.project_path,
            "FORGE_BRANCH": self.branch,
            "FORGE_TAG": self.tag,
            "SOURCE_DATE_EPOCH": str(self.commit_time),
            **self.extra,
        }
        return {name: value for name, value in facts.items() if value is not None}


@asynccontextmanager
async def execution_environment(
    configuration: WorkerConfiguration, facts: ExecutionFacts
) -> AsyncIterator[dict[str, str]]:
    """The complete environment for one task or artifact, with private HOME and TMPDIR that end with the context."""
    tools = configuration.cache.tools / facts.repository.replace("/", "--").lower()
    async with _tools_in_use(tools), _private_folder(configuration.cache.workspace) as private:
        yield {
            **_inherited_here(configuration.environment_passthrough),
            **facts.variables(),
            **{name: str(tools / folder) for name, folder in TOOL_CACHES.items()},
            "CI": "true",
            "HOME": str(private / "home"),
            "TMPDIR": str(private / "tmp"),
        }


@lru_cache(maxsize=1)
def _inherited_here(passthrough: tuple[str, ...]) -> Mapping[str, str]:
    """Once for all tasks: neither the worker's environment nor its configuration changes while it runs."""
    return inherited(os.environ, passthrough)


def inherited(environment: Mapping[str, str], passthrough: Iterable[str]) -> dict[str, str]:
    """What steps get of the worker's own environment; nothing that may be a credential, nothing of `FORGE_*`."""
    patterns = (*COPIED, *passthrough)
    found = {
        name: value
        for name, value in environment.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        and not name.startswith("FORGE_")
        and not _SECRET_NAME.search(name)
        and not _USER_INFORMATION.search(value)
    }
    return {"PATH": DEFAULT_PATH, **found}


async def sweep_private_folders(workspace: Path) -> None:
    """Remove the HOME and TMPDIR folders that a crashed process left."""
    for lock in (workspace / PRIVATE).glob("*.lock"):
        with try_locked(lock) as free:
            if free:
                await asyncio.to_thread(remove_tree, lock.with_suffix(""))
                lock.unlink(missing_ok=True)


@asynccontextmanager
async def _private_folder(workspace: Path) -> AsyncIterator[Path]:
    parent = workspace / PRIVATE
    make_folder(parent)
    path = parent / uuid.uuid4().hex
    lock = path.with_suffix(".lock")
    folders = (path, path / "home", path / "tmp")
    async with locked(lock):
        for folder in folders:
            folder.mkdir(mode=0o700)
        try:
            yield path
        finally:
            if not _removed_empty(folders):
                await asyncio.to_thread(remove_tree, path)
            lock.unlink(missing_ok=True)


def _removed_empty(folders: Sequence[Path]) -> bool:
    """Most tasks leave nothing behind: then three calls do."""
    try:
        for folder in reversed(folders):
            folder.rmdir()
    except OSError:
        return False
    return True


@asynccontextmanager
async def _tools_in_use(tools: Path) -> AsyncIterator[None]:
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
