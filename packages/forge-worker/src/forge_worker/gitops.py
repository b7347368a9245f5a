"""The GitOps repository: one file, one commit, pushed; correct under concurrent writers and repeated jobs."""

import asyncio
import hashlib
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from forge_sdk.configuration import GitOps
from forge_sdk.errors import AuthenticationError, ConfigurationError, ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.retry import RetryPolicy
from forge_sdk.secrets import Secret
from forge_worker.folders import remove_tree
from forge_worker.git.command import Git
from forge_worker.git.credentials import authenticated
from forge_worker.git.failures import is_corruption
from forge_worker.locks import locked

COMPONENT = "gitops"
PUSH_RETRY = RetryPolicy(attempts=5, base_delay=0.5, max_delay=10.0, jitter=1.0)
NETWORK_TIMEOUT_S = 120.0
MAX_FILE = 256 * 1024
TRAILER = "Forge-Deployment"
_CONFLICT = re.compile(
    r"non-fast-forward|fetch first|cannot lock ref|failed to update ref|incorrect old value|remote ref.* changed"
    r"|unable to create .*\.lock|reference already exists|failed to lock",
    re.IGNORECASE,
)
_NO_BRANCH = re.compile(r"couldn't find remote ref", re.IGNORECASE)

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """One file to write: `message` is complete, with the trailer of `deployment_id`.

    `same` says of the present content (`None` where there is none) whether it names what the new one names. `folder` must
    exist in the repository.
    """

    deployment_id: UUID
    folder: str
    path: str
    content: bytes
    message: Callable[[bytes | None], str]
    same: Callable[[bytes | None], bool]


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit that holds the file, and whether this deployment made it."""

    sha: str
    changed: bool


class GitOpsRepository:
    """A private bare clone per URL below `directory`, for one writer at a time on this machine."""

    def __init__(
        self, configuration: GitOps, directory: Path, credentials: Callable[[], Awaitable[Secret | None]]
    ) -> None:
        self._configuration, self._credentials = configuration, credentials
        name = hashlib.sha256(configuration.url.encode()).hexdigest()[:32]
        self._parent, self._clone = directory, directory / f"{name}.git"

    async def commit(self, change: Change, *, retry: RetryPolicy = PUSH_RETRY) -> Committed:
        """Bring the change to the branch of the remote repository.

        A commit with the deployment's trailer in the history ends it there; a file that names the same already is left as it
        is. Where another writer was faster it is applied again to what that one left, five times in all. Raises
        `ConfigurationError` where folder or branch do not exist, `AuthenticationError`, or `deployment_failed`.
        """
        self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with locked(self._clone.with_suffix(".lock")):
            git = await self._git()
            async with authenticated(git, await self._credentials()) as ready:
                return await retry.call(lambda: self._attempt(ready, change), retry_on=_may_help, on_retry=_tell)

    async def _attempt(self, git: Git, change: Change) -> Committed:
        try:
            return await self._apply(git, change, await self._fetch(git))
        except PlatformError as error:
            if is_corruption(error):
                # A clone holds nothing of its own: the next attempt makes it anew.
                await asyncio.to_thread(remove_tree, self._clone)
                await self._initialise()
            raise

    async def _apply(self, git: Git, change: Change, tip: str) -> Committed:
        made = await _find(git, tip, change.deployment_id)
        if made is not None:
            return Committed(made, changed=True)
        await self._check_folder(git, tip, change.folder)
        present = await _read(git, tip, change.path)
        if change.same(present):
            holder = await git.run("log", "-1", "--format=%H", tip, "--", change.path)
            return Committed(holder.decode().strip(), changed=False)
        sha = await self._write(git, tip, change, change.message(present))
        await self._push(git, sha)
        return Committed(sha, changed=True)

    async def _git(self) -> Git:
        if not self._clone.is_dir():
            await self._initialise()
        author = self._configuration
        identity = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", author.author_name), ("EMAIL", author.author_email))
        }
        return Git(self._clone, environment=identity, allow_local=True)

    async def _initialise(self) -> None:
        git = Git(self._parent, allow_local=True)
        await git.run("init", "--quiet", "--bare", "--template=", "--", str(self._clone))

    @property
    def _branch(self) -> str:
        return f"refs/heads/{self._configuration.branch}"

    async def _fetch(self, git: Git) -> str:
        refspec = f"+{self._branch}:{self._branch}"
        arguments = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", self._configuration.url, refspec)
        try:
            await git.run(*arguments, timeout_s=NETWORK_TIMEOUT_S)
        except PlatformError as error:
            if not _NO_BRANCH.search(error.message):
                raise
            raise ConfigurationError(
                f"the GitOps repository has no branch {self._configuration.branch!r}: push one, with a folder for each environment",
                component=COMPONENT,
            ) from error
        return (await git.run("rev-parse", "--verify", self._branch)).decode().strip()

    async def _check_folder(self, git: Git, tip: str, folder: str) -> None:
        kind = await _kind(git, f"{tip}:{folder}")
        if kind != "tree":
            raise ConfigurationError(
                f"the GitOps repository has no folder {folder!r}: commit {folder}/env.yml there to make the environment",
                component=COMPONENT,
            )

    async def _write(self, git: Git, tip: str, change: Change, message: str) -> str:
        index = self._clone / f"index-{os.getpid()}"
        indexed = replace(git, environment={**git.environment, "GIT_INDEX_FILE": str(index)})
        try:
            blob = (await git.run("hash-object", "-w", "--stdin", input=change.content)).decode().strip()
            await indexed.run("read-tree", tip)
            await indexed.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{change.path}")
            tree = (await indexed.run("write-tree")).decode().strip()
            made = await git.run("commit-tree", tree, "-p", tip, "-F", "-", input=message.encode())
        finally:
            index.unlink(missing_ok=True)
        return made.decode().strip()

    async def _push(self, git: Git, sha: str) -> None:
        arguments = ("push", "--quiet", "--", self._configuration.url, f"{sha}:{self._branch}")
        await git.run(*arguments, timeout_s=NETWORK_TIMEOUT_S)


async def _find(git: Git, tip: str, deployment_id: UUID) -> str | None:
    trailer = f"{TRAILER}: {deployment_id}"
    arguments = ("log", "--fixed-strings", f"--grep={trailer}", f"--format=%H %(trailers:key={TRAILER},valueonly)", tip)
    for line in (await git.run(*arguments)).decode(errors="replace").splitlines():
        sha, _, value = line.partition(" ")
        if value.strip() == str(deployment_id):
            return sha
    return None


async def _kind(git: Git, name: str) -> str | None:
    if not await git.succeeds("cat-file", "-e", name):
        return None
    return (await git.run("cat-file", "-t", name)).decode().strip()


async def _read(git: Git, tip: str, path: str) -> bytes | None:
    name = f"{tip}:{path}"
    if await _kind(git, name) != "blob":
        return None
    return await git.run("cat-file", "blob", name, max_output=MAX_FILE)


def _may_help(error: BaseException) -> bool:
    if not isinstance(error, PlatformError) or isinstance(error, AuthenticationError | ConfigurationError):
        return False
    is_git = error.code is ErrorCode.GIT_FAILED
    return error.transient or (is_git and (_CONFLICT.search(error.message) is not None or is_corruption(error)))


def _tell(attempt: int, error: BaseException) -> None:
    logger.info("gitops_push_repeated", attempt=attempt, error=str(error)[:500])
