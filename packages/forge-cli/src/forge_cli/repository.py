"""Facts of the git repository that a command is run in."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from forge_sdk.errors import ConfigurationError
from forge_sdk.identifiers import REPOSITORY_PATTERN

GIT_TIMEOUT = 30
MAX_COMMITS = 200


@dataclass(frozen=True, slots=True)
class Checkout:
    """HEAD of a repository: `name` is origin's owner/name, or `local/<folder>`."""

    name: str
    git_directory: Path
    commit_sha: str
    branch: str | None
    tag: str | None
    uncommitted: int

    @property
    def clone_url(self) -> str:
        """How a worker on this machine fetches it."""
        return self.git_directory.as_uri()


def checkout(folder: Path) -> Checkout:
    """The repository around `folder`; raises `ConfigurationError` where there is none or it has no commit."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder")
    root = Path(
        _git(
            folder,
            "rev-parse",
            "--show-toplevel",
            error=f"{folder} is not inside a git repository: run forge there, or `git init`",
        )
    )
    commit = _git(root, "rev-parse", "--verify", "HEAD", error=f"{root} has no commit yet: commit something first")
    tags = _git(root, "tag", "--points-at", "HEAD", "--sort=-creatordate").splitlines()
    status = _git(root, "status", "--porcelain").splitlines()
    tag = tags[0] if tags else None
    return Checkout(_name(root), git_directory(root), commit, current_branch(root), tag, len(status))


def commit_of(root: Path, revision: str) -> str:
    """The SHA of the commit that `revision` names; raises `ConfigurationError` where there is none."""
    unknown = f"{revision!r} names no commit of {root}: give a SHA, a branch or a tag"
    if revision.startswith("-"):
        raise ConfigurationError(unknown)
    return _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", error=unknown)


def commits_between(root: Path, old: str, new: str) -> list[str] | None:
    """Commits (`<SHA> <subject>`) that `new` has and `old` doesn't, newest first; nothing where one of them isn't here."""
    done = _run(root, "log", "--format=%h %s", f"--max-count={MAX_COMMITS}", f"{old}..{new}", "--")
    return done.stdout.splitlines() if done.returncode == 0 else None


def git_directory(root: Path) -> Path:
    """The object store of the repository, also where `root` is a linked worktree."""
    return (root / _git(root, "rev-parse", "--git-common-dir")).resolve()


def current_branch(root: Path) -> str | None:
    """The branch that is checked out, `None` for a detached HEAD."""
    return _git(root, "branch", "--show-current") or None


def files_of(root: Path) -> list[str]:
    """Tracked files, and untracked ones that Git does not ignore, by path from `root`."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    return [name for name in listed.split("\0") if name]


def is_ignored(root: Path, path: Path) -> bool:
    """Whether Git ignores `path`."""
    return _run(root, "check-ignore", "--quiet", str(path)).returncode == 0


def _name(root: Path) -> str:
    origin = _git(root, "config", "--default", "", "--get", "remote.origin.url")
    found = re.search(r"[:/]([^/:]+/[^/]+?)(?:\.git)?/?$", origin) if "://" in origin or "@" in origin else None
    if found and not origin.startswith("file:") and re.fullmatch(REPOSITORY_PATTERN, found[1]):
        return found[1]
    folder = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-.") or "repository"
    return f"local/{folder}"


def _git(folder: Path, *arguments: str, error: str = "") -> str:
    done = _run(folder, *arguments)
    if done.returncode != 0:
        raise ConfigurationError(error or f"git {arguments[0]} failed in {folder}: {done.stderr.strip()}")
    return done.stdout.strip()


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=GIT_TIMEOUT, check=False
        )
    except FileNotFoundError as missing:
        raise ConfigurationError("git is not installed: install it first") from missing
