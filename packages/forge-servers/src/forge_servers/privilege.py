"""How PostgreSQL, which refuses to run as uid 0 and as a uid without a name, is started by such users."""

import functools
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import ServerError

NOBODY = 65534


@dataclass(frozen=True)
class Identity:
    """What a process is started as.

    `prefix` goes before the command: a user namespace in which this user is `nobody`. `user` is the uid (and gid)
    to change to, or None to stay.
    """

    prefix: tuple[str, ...] = ()
    user: int | None = None

    def own(self, *paths: Path) -> None:
        """Gives files or folders (not what is in them) to the identity."""
        if self.user is not None:
            for path in paths:
                os.chown(path, self.user, self.user)

    def check_access(self, *paths: Path) -> None:
        """Raises `ServerError` naming the first folder on the way to one of `paths` that is closed to the identity."""
        if self.user is None:
            return
        for path in paths:
            for folder in reversed(path.resolve().parents):
                if not folder.stat().st_mode & stat.S_IXOTH and folder.stat().st_uid != self.user:
                    raise ServerError(
                        f"PostgreSQL doesn't run as root, and user {self.user} may not enter {folder}: "
                        f"chmod o+x {folder}, use another directory, or start as an ordinary user"
                    )


def unprivileged() -> Identity:
    """The identity of a process that must not be root and must have a name: the caller's own where that holds."""
    user = os.geteuid()
    if user != 0 and _has_name(user):
        return Identity()
    if prefix := user_namespace():
        return Identity(prefix=prefix)
    if user != 0:
        raise ServerError(f"PostgreSQL needs a name for user id {user}: add it to /etc/passwd")
    return Identity(user=NOBODY)


@functools.cache
def user_namespace() -> tuple[str, ...]:
    """The command prefix that makes the caller `nobody`, or nothing where the kernel or its settings refuse that."""
    program = shutil.which("unshare")
    if program is None:
        return ()
    prefix = (program, "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
    try:
        proven = subprocess.run(
            [*prefix, "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if proven.returncode == 0 else ()


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True
