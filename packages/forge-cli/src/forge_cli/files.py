"""Files that are written whole or not at all, and readable by their owner only."""

import os
import secrets
from pathlib import Path


def write_private(path: Path, content: str) -> None:
    """Replace `path` by `content`, mode 0600, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def write_once(path: Path, content: str) -> None:
    """Write `path` where it isn't there yet: what a person changed is never overwritten."""
    if not path.exists():
        write_private(path, content)


def secret_once(path: Path) -> str:
    """The random secret in `path`, made at the first call."""
    write_once(path, secrets.token_urlsafe(32))
    return path.read_text()
