"""Writes the files of a `.forge` folder, all or none, and never over what is there."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from forge_sdk.errors import ConfigurationError, ErrorCode

FOLDER = ".forge"


def refuse_existing(file: Path) -> None:
    """Raises `ConfigurationError` where there is something at `file`."""
    if file.exists() or file.is_symlink():
        raise ConfigurationError(
            f"{file} exists, and forge init never overwrites: edit it, or remove it first",
            code=ErrorCode.ALREADY_EXISTS,
        )


def write_configuration(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Writes `files` (paths inside of `.forge`, the one that counts last) to the `.forge` folder of `folder`.

    They are written to a temporary folder beside it first. A file that exists is kept where it is equal or a `cue.mod/module.cue`;
    else `ConfigurationError` is raised. Gives the files that were written.
    """
    target = folder / FOLDER
    if target.is_symlink():
        raise ConfigurationError(f"{target} is a symbolic link, which is never followed: remove it first")
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=f"{FOLDER}-init-") as parent:
            fresh = Path(parent, FOLDER)
            for name, text in files.items():
                _write(fresh / name, text)
            if not target.exists():
                fresh.rename(target)
                return [target / name for name in files]
            return _place(fresh, target, files)
    except OSError as error:
        raise ConfigurationError(f"{target} can't be written: {error.strerror}") from error


def _place(fresh: Path, target: Path, files: Mapping[str, str]) -> list[Path]:
    written = []
    for name in files:
        file = target / name
        file.parent.mkdir(exist_ok=True)
        if name.startswith("cue.mod/") and file.exists():
            continue
        try:
            os.link(fresh / name, file)
        except FileExistsError:
            refuse_existing(file)
        written.append(file)
    return written


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
