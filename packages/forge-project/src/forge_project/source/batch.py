"""One `git cat-file --batch` process that answers for object after object."""

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from forge_project.source.tree import COMPONENT
from forge_sdk.errors import ErrorCode, PlatformError

_HELD_BYTES = 4 * 2**20
_ASKED_AT_ONCE = 256
"""Names of objects, which fit into an empty pipe (64 KB): asking never waits for git, which may wait for its reader."""
_END_TIMEOUT_S = 5.0


class GitObject(NamedTuple):
    """An object of the store: its type (`tree`, `blob`, ...) and content; `content` is `None` where it was too large to read."""

    type: str
    content: bytes | None


class ObjectReader:
    """Reads objects of one repository, in the order in which they are asked for.

    In threads with plain pipes: asyncio's own take several times as long, and under uvloop starting the process forks, which
    copies the page tables of a large service.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process must have pipes for its input and output")
        self._stdin, self._stdout = process.stdin, process.stdout

    async def read(self, names: Sequence[bytes], max_bytes: int) -> AsyncGenerator[GitObject | None]:
        """The object of each name (an object id, or `commit^{tree}`); `None` where there is none.

        Larger ones than `max_bytes` come without content.
        """
        for chunk in _chunks(names):
            await asyncio.to_thread(self._ask, chunk)
            left = len(chunk)
            while left:
                answers = await asyncio.to_thread(self._answers, left, max_bytes)
                left -= len(answers)
                for answer in answers:
                    yield answer

    def _ask(self, names: Sequence[bytes]) -> None:
        self._stdin.write(b"".join(name + b"\n" for name in names))
        self._stdin.flush()

    def _answers(self, count: int, max_bytes: int) -> list[GitObject | None]:
        """The next answers, at least one; fewer than `count` where they are large."""
        answers: list[GitObject | None] = []
        held = 0
        while len(answers) < count and held < _HELD_BYTES:
            answer = self._answer(max_bytes)
            held += len(answer.content or b"") if answer is not None else 0
            answers.append(answer)
        return answers

    def _answer(self, max_bytes: int) -> GitObject | None:
        header = self._stdout.readline().split()
        if not header:
            raise PlatformError(
                "git cat-file ended early: check the object store with git fsck",
                code=ErrorCode.GIT_FAILED,
                component=COMPONENT,
            )
        if header[-1] in (b"missing", b"ambiguous"):
            return None
        size = int(header[2])
        kind = header[1].decode("ascii")
        if size <= max_bytes:
            return GitObject(type=kind, content=self._exactly(size + 1)[:-1])
        for start in range(0, size + 1, _HELD_BYTES):
            self._exactly(min(_HELD_BYTES, size + 1 - start))
        return GitObject(type=kind, content=None)

    def _exactly(self, size: int) -> bytes:
        content = self._stdout.read(size)
        if len(content) < size:
            raise EOFError(f"{size - len(content)} bytes are missing")
        return content


@asynccontextmanager
async def object_reader(git_directory: Path) -> AsyncIterator[ObjectReader]:
    """A reader of the object store at `git_directory`; the process is gone at the end, also after cancellation."""
    process = _started(git_directory)
    try:
        yield ObjectReader(process)
    except (EOFError, ConnectionError) as error:
        raise PlatformError(
            f"the object store {git_directory} can't be read: check it with git fsck",
            code=ErrorCode.GIT_FAILED,
            component=COMPONENT,
        ) from error
    finally:
        # Ends a thread that still reads, too.
        process.kill()
        await asyncio.to_thread(_ended, process)


def _started(git_directory: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["git", f"--git-dir={git_directory}", "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )


def _ended(process: "subprocess.Popen[bytes]") -> None:
    with suppress(subprocess.TimeoutExpired, BrokenPipeError):
        process.communicate(timeout=_END_TIMEOUT_S)


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


def _chunks(names: Sequence[bytes], size: int = _ASKED_AT_ONCE) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
