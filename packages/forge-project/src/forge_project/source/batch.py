"""One `git cat-file --batch` process that answers for object after object."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from forge_sdk.errors import ErrorCode, PlatformError

from forge_project.source.tree import COMPONENT

_STREAM_LIMIT = 1024 * 1024
_END_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class GitObject:
    """An object of the store: its type (`tree`, `blob`, ...) and content; `content` is `None` where it was too large to read."""

    type: str
    content: bytes | None


class ObjectReader:
    """Reads objects of one repository, in the order in which they are asked for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def read(self, names: Sequence[bytes], max_bytes: int) -> AsyncGenerator[GitObject | None]:
        """The object of each name (an object id, or `commit^{tree}`); `None` where there is none.

        Larger ones than `max_bytes` come without content.
        """
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        # Asked for while answers are read: with both pipes full neither side would go on.
        asking = asyncio.create_task(self._ask(self._process.stdin, names))
        try:
            for _ in names:
                yield await self._answer(max_bytes)
            await asking
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask(self, stdin: asyncio.StreamWriter, names: Sequence[bytes]) -> None:
        for chunk in _chunks(names):
            stdin.write(b"".join(name + b"\n" for name in chunk))
            await stdin.drain()

    async def _answer(self, max_bytes: int) -> GitObject | None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        header = (await self._process.stdout.readline()).split()
        if not header:
            raise PlatformError(
                "git cat-file ended early: check the object store with git fsck",
                code=ErrorCode.GIT_FAILED,
                component=COMPONENT,
            )
        if header[-1] in (b"missing", b"ambiguous"):
            return None
        size = int(header[2])
        content = await self._content(self._process.stdout, size, max_bytes)
        return GitObject(type=header[1].decode("ascii"), content=content)

    async def _content(self, stdout: asyncio.StreamReader, size: int, max_bytes: int) -> bytes | None:
        if size <= max_bytes:
            return (await stdout.readexactly(size + 1))[:-1]
        left = size + 1
        while left > 0:
            passed = await stdout.read(min(left, _STREAM_LIMIT))
            if not passed:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(passed)
        return None


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
