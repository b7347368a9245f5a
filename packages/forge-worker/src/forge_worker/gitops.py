"""The GitOps repository: one file, one commit, pushed; correct under concurrent writers and repeated jobs."""

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
PUSH_RETRY = RetryPolicy(attempts=5, base_delay=0.5, max_delay=15.0, jitter=3.0)
"""The jitter is longer than a fetch and a push take, so that writers of several machines come apart."""
NETWORK_TIMEOUT_S = 120.0
MAX_FILE = 256 * 1024
TRAILER = "Forge-Deployment"
PENDING = "refs/forge/pending"
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

    `same` says of the present content (`None` where there is none) whether it names what the new one names; `check` raises
    where the new one must not take its place. `folder` must exist in the repository.
    """

    deployment_id: UUID
    folder: str
    path: str
    content: bytes
    message: Callable[[bytes | None], str]
    same: Callable[[bytes | None], bool]
    check: Callable[[bytes | None], Awaitable[None]] | None = None


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
        `ConfigurationError` where folder or branch do not exist, `AuthenticationError`, `git_failed`, or what the check raises.
        """
        self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        history = _History(change.deployment_id)
        return await retry.call(lambda: self._attempt(change, history), retry_on=_may_help, on_retry=_tell)

    async def _attempt(self, change: Change, history: "_History") -> Committed:
        # Locked for the attempt alone: while one waits for its next, others may have their turn.
        async with locked(self._clone.with_suffix(".lock")):
            git = await self._git()
            try:
                async with authenticated(git, await self._credentials()) as ready:
                    return await self._apply(ready, change, history)
            except PlatformError as error:
                if is_corruption(error):
                    # A clone holds nothing of its own: the next attempt makes it anew.
                    await asyncio.to_thread(remove_tree, self._clone)
                raise

    async def _apply(self, git: Git, change: Change, history: "_History") -> Committed:
        await self._fetch(git)
        tree = await self._look(git, change)
        made = await history.find(git, tree.tip)
        if made is not None:
            return Committed(made, changed=True)
        present = await tree.present(git)
        if change.same(present):
            holder = await git.run("log", "-1", "--format=%H", tree.tip, "--", change.path)
            return Committed(holder.decode().strip(), changed=False)
        if change.check is not None:
            await change.check(present)
        sha = await self._write(git, tree.tip, change, change.message(present))
        await git.run(
            "push", "--quiet", "--", self._configuration.url, f"{sha}:{self._branch}", timeout_s=NETWORK_TIMEOUT_S
        )
        return Committed(sha, changed=True)

    async def _git(self) -> Git:
        if not self._clone.is_dir():
            await self._initialise()
        return Git(self._clone, allow_local=True)

    async def _initialise(self) -> None:
        git = Git(self._parent, allow_local=True)
        await git.run("init", "--quiet", "--bare", "--template=", "--", str(self._clone))

    @property
    def _branch(self) -> str:
        return f"refs/heads/{self._configuration.branch}"

    async def _fetch(self, git: Git) -> None:
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

    async def _look(self, git: Git, change: Change) -> "_Tree":
        """One process for everything that is to be known: the time until the push is when others may be faster."""
        parent = change.path.rpartition("/")[0]
        names = [self._branch, *(f"{self._branch}:{path}" for path in (change.folder, parent, change.path))]
        answer = await git.run("cat-file", "--batch-check=%(objecttype) %(objectname)", input="\n".join(names).encode())
        tip, folder, project, file = (_parse(line) for line in answer.decode().splitlines())
        if folder is None or folder.kind != "tree":
            raise ConfigurationError(
                f"the GitOps repository has no folder {change.folder!r}: commit {change.folder}/env.yml there to make the "
                "environment",
                component=COMPONENT,
            )
        for path, found, kind in ((parent, project, "tree"), (change.path, file, "blob")):
            if found is not None and found.kind != kind:
                raise ConfigurationError(f"the GitOps repository has a {found.kind} at {path!r}", component=COMPONENT)
        if tip is None:
            raise PlatformError("the branch vanished from the clone", code=ErrorCode.GIT_FAILED, component=COMPONENT)
        return _Tree(tip.name, file.name if file else None)

    async def _write(self, git: Git, tip: str, change: Change, message: str) -> str:
        author = self._configuration
        identity = f"{_identity(author.author_name)} <{_identity(author.author_email)}> {int(time.time())} +0000"
        commands = [
            f"commit {PENDING}\nmark :1\ncommitter {identity}\n".encode(),
            _data(message.encode()),
            f"from {tip}\nM 100644 inline {change.path}\n".encode(),
            _data(change.content),
            b"get-mark :1\ndone\n",
        ]
        made = await git.run("fast-import", "--quiet", "--done", "--force", input=b"".join(commands))
        return made.decode().strip()


@dataclass(frozen=True, slots=True)
class _Object:
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class _Tree:
    """What the branch holds: its commit, and the present file where there is one."""

    tip: str
    blob: str | None

    async def present(self, git: Git) -> bytes | None:
        if self.blob is None:
            return None
        return await git.run("cat-file", "blob", self.blob, max_output=MAX_FILE)


def _parse(line: str) -> _Object | None:
    kind, _, name = line.partition(" ")
    return None if line.endswith(" missing") else _Object(kind, name)


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def _identity(text: str) -> str:
    """A name or address as git accepts it."""
    return "".join(character for character in text if character.isprintable() and character not in "<>").strip()


class _History:
    """Looks for the commit of a deployment, at each attempt only in what is new: meanwhile others may be faster."""

    def __init__(self, deployment_id: UUID) -> None:
        self._deployment_id, self._searched = str(deployment_id), ""

    async def find(self, git: Git, tip: str) -> str | None:
        """The commit with the deployment's trailer among those that `tip` holds."""
        matching = ("--fixed-strings", f"--grep={TRAILER}: {self._deployment_id}")
        shown = f"--format=%H %(trailers:key={TRAILER},valueonly)"
        # What was searched may be gone: somebody has written the history anew, or the clone was damaged.
        known = ("--ignore-missing", f"^{self._searched}") if self._searched else ()
        answer = await git.run("log", *matching, shown, tip, *known)
        for line in answer.decode(errors="replace").splitlines():
            sha, _, value = line.partition(" ")
            if value.strip() == self._deployment_id:
                return sha
        self._searched = tip
        return None


def _may_help(error: BaseException) -> bool:
    if not isinstance(error, PlatformError) or isinstance(error, AuthenticationError | ConfigurationError):
        return False
    is_git = error.code is ErrorCode.GIT_FAILED
    return error.transient or (is_git and (_CONFLICT.search(error.message) is not None or is_corruption(error)))


def _tell(attempt: int, error: BaseException) -> None:
    logger.info("gitops_push_repeated", attempt=attempt, error=str(error)[:500])
