"""Runs a program in its own session and ends everything it started."""

import asyncio
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from forge_sdk.errors import ConfigurationError
from forge_sdk.logging import get_logger
from forge_worker.execution.child import Child
from forge_worker.execution.process_tree import MARKER, ProcessTree, new_marker

Sink = Callable[[bytes], Awaitable[None]]
CHUNK = 256 * 1024
PIPE_BYTES = 2**20
"""What a program may print before the worker has to read: with the usual 64 KB, programs that print much wait for each read."""
TAIL_BYTES = 8192
GRACE_S = 5.0
STRAGGLER_GRACE_S = 1.0
DRAIN_TIMEOUT_S = 10.0

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How a program ended: exit code (negative: the signal) and the last bytes of its output, not masked."""

    exit_code: int
    tail: bytes

    def tail_text(self) -> str:
        """The last bytes as text."""
        return self.tail.decode(errors="replace")


async def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    sink: Sink | None = None,
    error_sink: Sink | None = None,
    input: bytes | None = None,  # noqa: A002 - named as in subprocess
    grace_s: float = GRACE_S,
    stragglers: bool = True,
) -> ProcessEnd:
    """Run `argv` to its end with `environment` and a marker; output goes to `sink` in chunks as it comes.

    Standard error goes to `error_sink`, or without one to `sink` as well. When the calling task is cancelled (job
    cancelled, `asyncio.timeout`), the whole process tree gets SIGTERM, after `grace_s` SIGKILL, and the call raises
    `CancelledError`. What a finished program left running is ended too, unless `stragglers` is false, which spares the
    search after programs that leave nothing. Raises `ConfigurationError` where the program
    does not exist or can't be started, and what a sink raises, after ending the tree.
    """
    marker = new_marker()
    output, output_end = await _pipe()
    errors, errors_end = (output, None) if error_sink is None else await _pipe()
    stdin = _input_file(input)
    try:
        process = _start(argv, cwd, {**environment, MARKER: marker}, (stdin, output_end, errors_end))
    except BaseException:
        output.close()
        errors.close()
        raise
    finally:
        _close(stdin, output_end, errors_end)
    tree = ProcessTree(process.pid, marker)
    tail = bytearray()
    pumps = [asyncio.create_task(output.pump(sink, tail))]
    if error_sink is not None:
        pumps.append(asyncio.create_task(errors.pump(error_sink, bytearray())))
    try:
        exit_code = await _ended(process, pumps)
    except BaseException:
        await _uninterrupted(_finish(process, tree, pumps, grace_s))
        raise
    await _uninterrupted(_finish(process, tree if stragglers else None, pumps, STRAGGLER_GRACE_S))
    for pump in pumps:
        if not pump.cancelled() and (error := pump.exception()) is not None:
            raise error
    return ProcessEnd(exit_code, bytes(tail))


class _Pipe:
    """The reading end of a pipe. Not asyncio's own: with that one `wait` may hang on a child that keeps it open."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self._reader, self._transport = reader, transport

    async def pump(self, sink: Sink | None, tail: bytearray) -> None:
        try:
            while chunk := await self._reader.read(CHUNK):
                tail += chunk[-TAIL_BYTES:]
                del tail[:-TAIL_BYTES]
                if sink is not None:
                    await sink(chunk)
        finally:
            self._transport.close()

    def close(self) -> None:
        self._transport.close()


async def _pipe() -> tuple[_Pipe, int]:
    read_end, write_end = os.pipe()
    with suppress(OSError, AttributeError):
        # Linux only, and refused to users who have many pipes; then it stays as small as it is.
        fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), _ReadEnd(read_end, is_closed_by_loop=_closes_descriptors(loop))
    )
    return _Pipe(reader, transport), write_end


class _ReadEnd:
    """A descriptor for `connect_read_pipe`, which is closed once.

    uvloop closes the descriptor and then the file, by whose number another thread may have opened something meanwhile.
    """

    def __init__(self, descriptor: int, *, is_closed_by_loop: bool) -> None:
        self._descriptor, self._is_closed_by_loop = descriptor, is_closed_by_loop

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if not self._is_closed_by_loop:
            os.close(self._descriptor)


def _closes_descriptors(loop: asyncio.AbstractEventLoop) -> bool:
    return type(loop).__module__.partition(".")[0] == "uvloop"


def _start(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], streams: tuple[IO[bytes] | None, int, int | None]
) -> Child:
    stdin, output, errors = streams
    try:
        started = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(environment),
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            stdout=output,
            stderr=errors if errors is not None else output,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if error.filename != argv[0] or "/" in argv[0]:
            raise _not_started(argv[0], cwd, error) from error
        raise ConfigurationError(
            f"program {argv[0]!r} is not on the worker's PATH: install it there, or correct the name",
            component="execution",
        ) from error
    except (OSError, ValueError) as error:
        raise _not_started(argv[0], cwd, error) from error
    return Child(started)


def _not_started(program: str, cwd: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"program {program!r} can't be started in {cwd}: {error}", component="execution")


async def _ended(process: Child, pumps: list["asyncio.Task[None]"]) -> int:
    waiting = asyncio.create_task(process.wait())
    try:
        pending: set[asyncio.Task[Any]] = {waiting, *pumps}
        while not waiting.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        return waiting.result()
    finally:
        waiting.cancel()


async def _finish(process: Child, tree: ProcessTree | None, pumps: list["asyncio.Task[None]"], grace_s: float) -> None:
    if tree is not None and not await tree.end(grace_s):
        logger.error("process_tree_survived", pid=process.pid)
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            await process.wait()
            await asyncio.wait(pumps)
    except TimeoutError:
        logger.warning("process_output_incomplete", pid=process.pid)
    for pump in pumps:
        pump.cancel()
    await asyncio.wait(pumps)


async def _uninterrupted(ending: Coroutine[Any, Any, None]) -> None:
    """Await `ending` to its end, which is bounded, even when cancelled meanwhile; then let the cancellation through."""
    task, cancelled = asyncio.ensure_future(ending), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError


def _input_file(data: bytes | None) -> IO[bytes] | None:
    if data is None:
        return None
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the caller
    file.write(data)
    file.seek(0)
    return file


def _close(stdin: IO[bytes] | None, *descriptors: int | None) -> None:
    if stdin is not None:
        stdin.close()
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)
