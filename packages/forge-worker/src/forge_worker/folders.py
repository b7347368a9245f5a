"""Making folders, removing those that repository code wrote, and measuring them."""

import os
import shutil
import stat
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def make_folder(path: Path) -> None:
    """Make a private folder, and those above it; one look where it is there already."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True, mode=0o700)


def remove_tree(path: Path) -> None:
    """Remove a file, link or folder, whatever its modes; what is gone already is not an error."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
        return
    # Renamed first, so that nobody finds half of it.
    doomed = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        path.rename(doomed)
        shutil.rmtree(doomed, onerror=_make_writable)


def tree_size(path: Path) -> int:
    """Bytes of all files below `path`; what disappears meanwhile is not counted."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += os.lstat(Path(folder, name)).st_size
    return total


def _make_writable(function: Callable[..., Any], path: str, information: Any) -> None:
    """Go's module cache, for one, is read-only: give the folder its mode back and try once more."""
    if isinstance(information[1], FileNotFoundError):
        return
    parent = Path(path).parent
    parent.chmod(stat.S_IRWXU)
    with suppress(OSError):
        Path(path).chmod(stat.S_IRWXU, follow_symlinks=False)
    if function in {os.scandir, os.open, os.lstat}:
        shutil.rmtree(path)
    else:
        function(path)
