"""Reads a commit's configuration straight from an object store, without a checkout."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

from forge_project.source.batch import ObjectReader, object_reader
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
from forge_sdk.identifiers import SHA_PATTERN

_FORGE = CONFIGURATION_FOLDER.encode()
# Format of Git's tree objects: mode, name and the id's 20 bytes.
_TREE_ENTRY = re.compile(rb"([0-7]+) ([^\x00]*)\x00(.{20})", re.DOTALL)
_ENTRY_BYTES = 22
_TREE = b"40000"
_REGULAR = frozenset({b"100644", b"100755", b"100664"})
_REFUSED_NAMES = frozenset({b"", b".", b"..", b".git"})


class _Entry(NamedTuple):
    """An entry of a tree; `path` from the root, `inside` from the outermost `.forge` folder, or `None` outside of one."""

    path: bytes
    object_id: bytes
    inside: bytes | None


class CommitTree:
    """The configuration of one commit in a (bare) object store."""

    def __init__(
        self, git_directory: Path, commit_sha: str, *, limits: SourceLimits | None = None, timeout_s: float = 120.0
    ) -> None:
        """Reads `commit_sha` of the store at `git_directory` (a bare repository or a `.git` folder)."""
        if re.fullmatch(SHA_PATTERN, commit_sha) is None:
            raise ConfigurationError(
                f"{commit_sha!r} is no commit: give all 40 hexadecimal digits of its SHA", component=COMPONENT
            )
        self._git_directory = git_directory
        self._commit_sha = commit_sha
        self._limits = limits or SourceLimits()
        self._timeout_s = timeout_s

    async def files(self) -> Mapping[str, bytes]:
        """See `SourceTree.files`."""
        try:
            async with asyncio.timeout(self._timeout_s), object_reader(self._git_directory) as reader:
                return await _Walk(reader, self._limits).files(self._commit_sha)
        except TimeoutError as error:
            raise PlatformError(
                f"commit {self._commit_sha} could not be read within {self._timeout_s:g} s: try again",
                code=ErrorCode.TIMEOUT,
                component=COMPONENT,
            ) from error


class _Walk:
    """Goes through the trees of a commit, all those of one depth at a time."""

    def __init__(self, reader: ObjectReader, limits: SourceLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._collected = CollectedFiles(limits)
        self._directories = 0

    async def files(self, commit_sha: str) -> Mapping[str, bytes]:
        level = [_Entry(b"", f"{commit_sha}^{{tree}}".encode(), None)]
        blobs: list[_Entry] = []
        while level:
            level = await self._next_level(level, blobs)
        await self._read_blobs(blobs)
        return dict(sorted(self._collected.contents.items()))

    async def _next_level(self, level: list[_Entry], blobs: list[_Entry]) -> list[_Entry]:
        self._directories += len(level)
        if self._directories > self._limits.directories:
            raise ConfigurationError(
                f"the commit has more than {self._limits.directories} folders: discovery does not read so many",
                component=COMPONENT,
            )
        below: list[_Entry] = []
        async for entry, content in self._contents(level, "tree", self._limits.tree_bytes):
            if content is None:
                raise ConfigurationError(
                    f"the folder {entry.path!r} has too many files to be read", component=COMPONENT
                )
            for is_tree, child in _children(entry, content):
                (below if is_tree else blobs).append(child)
        return below

    async def _read_blobs(self, blobs: list[_Entry]) -> None:
        nested = [entry for entry in blobs if _is_nested(entry)]
        wanted = [entry for entry in blobs if not _is_nested(entry) and _is_configuration(entry)]
        for entry in nested:
            self._collected.add(checked_path(entry.path), b"")
        async for entry, content in self._contents(wanted, "blob", self._limits.file_bytes):
            path = checked_path(entry.path)
            if content is None:
                raise too_large(path, self._limits)
            self._collected.add(path, content)

    async def _contents(
        self, entries: Sequence[_Entry], kind: str, max_bytes: int
    ) -> AsyncGenerator[tuple[_Entry, bytes | None]]:
        waiting = iter(entries)
        async with aclosing(self._reader.read([entry.object_id for entry in entries], max_bytes)) as objects:
            async for found in objects:
                entry = next(waiting)
                if found is None or found.type != kind:
                    raise _missing(entry)
                yield entry, found.content


def _children(parent: _Entry, tree: bytes) -> Iterator[tuple[bool, _Entry]]:
    """Folders anywhere, and regular files inside `.forge`; symbolic links and submodules have other modes."""
    entries = _TREE_ENTRY.findall(tree)
    if sum(len(mode) + len(name) + _ENTRY_BYTES for mode, name, _ in entries) != len(tree):
        raise PlatformError(
            f"the folder {parent.path!r} of the commit is no tree of Git's: check the object store with git fsck",
            code=ErrorCode.GIT_FAILED,
            component=COMPONENT,
        )
    for mode, name, object_id in entries:
        if name in _REFUSED_NAMES or b"/" in name:
            raise ConfigurationError(
                f"the folder {parent.path!r} of the commit has an entry with the forbidden name {name!r}",
                component=COMPONENT,
            )
        is_tree = mode == _TREE
        if is_tree or (parent.inside is not None and mode in _REGULAR):
            path = parent.path + b"/" + name if parent.path else name
            yield is_tree, _Entry(path, object_id.hex().encode(), _inside(parent, name, is_tree=is_tree))


def _inside(parent: _Entry, name: bytes, *, is_tree: bool) -> bytes | None:
    if parent.inside is not None:
        return parent.inside + b"/" + name if parent.inside else name
    return b"" if is_tree and name == _FORGE else None


def _is_nested(entry: _Entry) -> bool:
    return entry.inside is not None and _FORGE in entry.inside.split(b"/")[:-1]


def _is_configuration(entry: _Entry) -> bool:
    return entry.inside is not None and is_read(entry.inside.decode("utf-8", "replace"))


def _missing(entry: _Entry) -> PlatformError:
    name = entry.object_id.decode()
    return PlatformError(
        f"the object store lacks {name.removesuffix('^{tree}')}: fetch the commit first",
        code=ErrorCode.GIT_FAILED,
        component=COMPONENT,
        context={"object": name},
    )
