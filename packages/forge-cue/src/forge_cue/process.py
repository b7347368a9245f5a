"""One child process that evaluates, one request at a time."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from forge_cue.errors import EvaluatorCrashedError, EvaluatorError, Limit, LimitExceeded

PROGRAM = "forge-cue-evaluator"
STACK_BYTES = 64 << 20
_KEPT_STDERR = 16 << 10
_DEADLINE_EXIT = 70
_SECOND_GUARD_SECONDS = 2.0
_LAST_WORDS_SECONDS = 2.0
_END_SECONDS = 10.0
_HEADER_BYTES = 4
_PIPE_BYTES = 512 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may use: seconds, and bytes of memory, request and response."""

    time: float
    memory: int
    input: int
    output: int


class EvaluatorProcess:
    """A running evaluator; after any failure it is ended, never used again."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._stderr = bytearray()
        self._drain = asyncio.create_task(self._drain_stderr())

    @classmethod
    async def start(cls, limits: Limits) -> Self:
        """Starts the program that came with this package; raises `EvaluatorError` where it can't be run."""
        program = Path(__file__).parent / "_bin" / PROGRAM
        arguments = {
            "memory-limit": str(limits.memory),
            "time-limit": f"{limits.time + _SECOND_GUARD_SECONDS}s",
            "input-limit": str(limits.input),
            "output-limit": str(limits.output),
        }
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *(f"-{name}={value}" for name, value in arguments.items()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={"GOTRACEBACK": "none"},
                cwd=os.sep,
                start_new_session=True,
            )
        except OSError as error:
            raise EvaluatorError(f"{program} can't be run: {error}; install catalyst-forge-cue again") from error
        _widen(process)
        return cls(process, limits)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def exchange(self, body: bytes) -> bytes:
        """Sends a request and returns the answer; raises `LimitExceeded` or `EvaluatorCrashedError`."""
        try:
            async with asyncio.timeout(self._limits.time):
                return await self._exchange(body)
        except TimeoutError as error:
            raise LimitExceeded("time", self._limits.time) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise await self._ended() from error

    async def _exchange(self, body: bytes) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise EvaluatorCrashedError("the evaluator has no streams")
        stdin.write(len(body).to_bytes(_HEADER_BYTES, "big") + body)
        await stdin.drain()
        size = int.from_bytes(await stdout.readexactly(_HEADER_BYTES), "big")
        if size > self._limits.output:
            raise LimitExceeded("output", self._limits.output)
        return await stdout.readexactly(size)

    async def end(self) -> None:
        """Kills the process and waits until it is gone; cancellation is kept until then."""
        if self.running:
            # Not Process.kill: it polls first, and so takes the exit status from the loop's own watcher.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        reaping = asyncio.ensure_future(self._reap())
        try:
            await asyncio.shield(reaping)
        except asyncio.CancelledError:
            await reaping
            raise

    async def _reap(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        async with asyncio.timeout(_END_SECONDS):
            await self._process.wait()
            await self._drain

    async def _drain_stderr(self) -> None:
        """Keeps the beginning, which names the reason, and reads the rest so that the process never waits for a reader."""
        stream = self._process.stderr
        while stream is not None and (chunk := await stream.read(_KEPT_STDERR)):
            self._stderr += chunk[: _KEPT_STDERR - len(self._stderr)]

    async def _ended(self) -> EvaluatorError:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._process.wait()
        await self.end()
        text = self._stderr.decode(errors="replace")
        limit = _exceeded(self._process.returncode, text)
        if limit is not None:
            value = {"time": self._limits.time, "memory": self._limits.memory, "stack": STACK_BYTES}[limit]
            return LimitExceeded(limit, value)
        first_line = text.partition("\n")[0]
        return EvaluatorCrashedError(
            f"the evaluator ended with status {self._process.returncode}: {first_line or 'no message'}"
        )


def _widen(process: asyncio.subprocess.Process) -> None:
    """Lets a whole request fit into the pipe where the system can, so that it is handed over at once."""
    if sys.platform == "linux" and process.stdin is not None:
        # Other event loops do not show the pipe.
        pipe = process.stdin.transport.get_extra_info("pipe")
        with contextlib.suppress(OSError):
            if pipe is not None:
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _exceeded(status: int | None, text: str) -> Limit | None:
    if status == _DEADLINE_EXIT:
        return "time"
    if "stack exceeds" in text or "stack overflow" in text:
        return "stack"
    if "cannot allocate memory" in text or "out of memory" in text or _is_runtime_fault(text):
        return "memory"
    return None


def _is_runtime_fault(text: str) -> bool:
    # Go's collector uses memory of its own without asking whether it got it. Faults of a program's code look otherwise:
    # they are panics of a numbered goroutine.
    return text.startswith("SIGSEGV: segmentation violation") and "\ngoroutine 0 " in text
