"""One `git cat-file --batch` process that answers for object after object."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from forge_project.source.tree import COMPONENT
from forge_sdk.errors import ErrorCode, PlatformError

_STREAM_LIMIT = 1024 * 1024
_END_TIMEOUT_S = 5.0


class GitObject(NamedTuple):
    """An object of the store: its type (`tree`, `blob`, ...) and content; `content` is `None` where it was too large to read."""

    type: str
    content: bytes | None


class ObjectReader:
    """Reads objects of one repository, in the order in which they are asked for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process must have pipes for its input and output")
        self._stdin = process.stdin
        self._buffer = _Buffer(process.stdout)

    async def read(self, names: Sequence[bytes], max_bytes: int) -> AsyncGenerator[GitObject | None]:
        """The object of each name (an object id, or `commit^{tree}`); `None` where there is none.

        Larger ones than `max_bytes` come without content.
        """
        # Asked for while answers are read: with both pipes full neither side would go on.
        asking = asyncio.create_task(self._ask(names))
        try:
            for _ in names:
                yield await self._answer(max_bytes)
            await asking
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask(self, names: Sequence[bytes]) -> None:
        for chunk in _chunks(names):
            self._stdin.write(b"".join(name + b"\n" for name in chunk))
            await self._stdin.drain()

    async def _answer(self, max_bytes: int) -> GitObject | None:
        header = (self._buffer.arrived_line() or await self._buffer.line()).split()
        if not header:
            raise PlatformError(
                "git cat-file ended early: check the object store with git fsck",
                code=ErrorCode.GIT_FAILED,
                component=COMPONENT,
            )
        if header[-1] in (b"missing", b"ambiguous"):
            return None
        size = int(header[2])
        if size <= max_bytes:
            content = self._buffer.arrived(size + 1) or await self._buffer.exactly(size + 1)
            return GitObject(type=header[1].decode("ascii"), content=content[:-1])
        await self._buffer.skip(size + 1)
        return GitObject(type=header[1].decode("ascii"), content=None)


class _Buffer:
    """Takes lines and contents out of what has arrived: waiting for each by itself would take most of the time."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._arrived = b""
        self._at = 0

    def arrived_line(self) -> bytes:
        """The next line where all of it is here; else an empty text."""
        end = self._arrived.find(b"\n", self._at)
        if end < 0:
            return b""
        line = self._arrived[self._at : end]
        self._at = end + 1
        return line

    def arrived(self, size: int) -> bytes:
        """The next `size` bytes where all of them are here; else an empty text."""
        end = self._at + size
        if end > len(self._arrived):
            return b""
        content = self._arrived[self._at : end]
        self._at = end
        return content

    async def line(self) -> bytes:
        """The next line; an empty text at the end of the stream."""
        while not (line := self.arrived_line()):
            if not await self._more():
                return b""
        return line

    async def exactly(self, size: int) -> bytes:
        parts = []
        while size > 0:
            part = self._arrived[self._at : self._at + size]
            parts.append(part)
            self._at += len(part)
            size -= len(part)
            if size > 0 and not await self._more():
                raise asyncio.IncompleteReadError(b"".join(parts), size)
        return b"".join(parts)

    async def skip(self, size: int) -> None:
        while size > 0:
            passed = min(size, len(self._arrived) - self._at)
            self._at += passed
            size -= passed
            if size > 0 and not await self._more():
                raise asyncio.IncompleteReadError(b"", size)

    async def _more(self) -> bool:
        arrived = await self._stream.read(_STREAM_LIMIT)
        self._arrived = self._arrived[self._at :] + arrived
        self._at = 0
        return bool(arrived)


@asynccontextmanager
async def object_reader(git_directory: Path) -> AsyncIterator[ObjectReader]:
    """A reader of the object store at `git_directory`; the process is gone at the end, also after cancellation."""
    process = await asyncio.create_subprocess_exec(
        "git", f"--git-dir={git_directory}", "cat-file", "--batch",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=_environment(), start_new_session=True, limit=_STREAM_LIMIT,
    )  # fmt: skip
    try:
        yield ObjectReader(process)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise PlatformError(
            f"the object store {git_directory} can't be read: check it with git fsck",
            code=ErrorCode.GIT_FAILED,
            component=COMPONENT,
        ) from error
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    async with asyncio.timeout(_END_TIMEOUT_S):
        await process.communicate()


def _environment() -> dict[str, str]:
    # Replacement objects and lazy fetches would let the store answer with other content than the commit names.
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
    }


def _chunks(names: Sequence[bytes], size: int = 256) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
