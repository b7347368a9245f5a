"""Reads the configuration of a working tree: tracked files, and untracked ones that Git does not ignore."""

import asyncio
import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from forge_project.source.tree import (
    COMPONENT,
    CONFIGURATION_FOLDER,
    CollectedFiles,
    SourceLimits,
    checked_path,
    is_read,
    too_large,
)
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError

_PATTERN = f":(top,glob)**/{CONFIGURATION_FOLDER}/**"
# Deleted since it was tracked, a link, below a link, or a pipe.
_NOT_PART_OF_THE_TREE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO})


class WorkingTree:
    """The configuration in a checkout, as it is now."""

    def __init__(self, path: Path, *, limits: SourceLimits | None = None, timeout_s: float = 120.0) -> None:
        """Reads the working tree that contains the folder `path`."""
        self._path = path
        self._limits = limits or SourceLimits()
        self._timeout_s = timeout_s
        self._root: Path | None = None

    async def root(self) -> Path:
        """The root of the working tree, asked for once; `ConfigurationError` where `path` is in none."""
        if self._root is None:
            self._root = await self._found_root()
        return self._root

    async def _found_root(self) -> Path:
        try:
            output = await self._git(self._path, "rev-parse", "--show-toplevel")
        except PlatformError as error:
            raise ConfigurationError(
                f"{self._path} is in no Git repository: run git init, or give the path of a repository",
                component=COMPONENT,
            ) from error
        return Path(os.fsdecode(output.removesuffix(b"\n")))

    async def files(self) -> Mapping[str, bytes]:
        """See `SourceTree.files`."""
        root = await self.root()
        listed = await self._git(
            root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", _PATTERN
        )
        names = [name for name in listed.split(b"\x00") if name and not name.endswith(b"/")]
        return await asyncio.to_thread(self._read, root, names)

    def _read(self, root: Path, names: list[bytes]) -> Mapping[str, bytes]:
        collected = CollectedFiles(self._limits)
        for name in sorted(names):
            inside = _inside(name)
            nested = CONFIGURATION_FOLDER.encode() in inside.split(b"/")[:-1]
            if not nested and not is_read(inside.decode("utf-8", "replace")):
                continue
            file = _open_confined(root, name)
            if file is not None:
                self._keep(collected, checked_path(name), file, nested=nested)
        return dict(sorted(collected.contents.items()))

    def _keep(self, collected: CollectedFiles, path: str, file: int, *, nested: bool) -> None:
        with os.fdopen(file, "rb") as opened:
            if nested:
                collected.add(path, b"")
                return
            content = opened.read(self._limits.file_bytes + 1)
            if len(content) > self._limits.file_bytes:
                raise too_large(path, self._limits)
            collected.add(path, content)

    async def _git(self, folder: Path, *arguments: str) -> bytes:
        # A repository's own fsmonitor setting names a program to run.
        command = ("git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                output, problem = await process.communicate()
        except TimeoutError as error:
            raise PlatformError(
                f"git {arguments[0]} did not end within {self._timeout_s:g} s in {folder}: try again",
                code=ErrorCode.TIMEOUT,
                component=COMPONENT,
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise PlatformError(
                f"git {arguments[0]} failed in {folder}: {problem.decode(errors='replace').strip()[:500]}",
                code=ErrorCode.GIT_FAILED,
                component=COMPONENT,
            )
        return output


def _environment() -> dict[str, str]:
    # Set inside a Git hook, these would name another repository than the one at the path.
    unwanted = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}


def _inside(name: bytes) -> bytes:
    parts = name.split(b"/")
    return b"/".join(parts[parts.index(CONFIGURATION_FOLDER.encode()) + 1 :])


def _open_confined(root: Path, name: bytes) -> int | None:
    """An open regular file below `root`, no part of whose path is a symbolic link; `None` where there is none."""
    *folders, last = name.split(b"/")
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    except OSError as error:
        if error.errno in _NOT_PART_OF_THE_TREE:
            return None
        raise ConfigurationError(f"{os.fsdecode(name)} can't be read: {error.strerror}", component=COMPONENT) from error
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        return None
    return file
