"""Facts of the git repository that a command is run in."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from forge_sdk.errors import ConfigurationError
from forge_sdk.identifiers import REPOSITORY_PATTERN

GIT_TIMEOUT = 30


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
    common = (root / _git(root, "rev-parse", "--git-common-dir")).resolve()
    branch = _git(root, "branch", "--show-current") or None
    tags = _git(root, "tag", "--points-at", "HEAD", "--sort=-creatordate").splitlines()
    status = _git(root, "status", "--porcelain").splitlines()
    return Checkout(_name(root), common, commit, branch, tags[0] if tags else None, len(status))


def _name(root: Path) -> str:
    origin = _git(root, "config", "--default", "", "--get", "remote.origin.url")
    found = re.search(r"[:/]([^/:]+/[^/]+?)(?:\.git)?/?$", origin) if "://" in origin or "@" in origin else None
    if found and not origin.startswith("file:") and re.fullmatch(REPOSITORY_PATTERN, found[1]):
        return found[1]
    folder = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-.") or "repository"
    return f"local/{folder}"


def _git(folder: Path, *arguments: str, error: str = "") -> str:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=GIT_TIMEOUT, check=False
        )
    except FileNotFoundError as missing:
        raise ConfigurationError("git is not installed: install it first") from missing
    if done.returncode != 0:
        raise ConfigurationError(error or f"git {arguments[0]} failed in {folder}: {done.stderr.strip()}")
    return done.stdout.strip()
