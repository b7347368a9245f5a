"""The pool of evaluator processes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from forge_cue import wire
from forge_cue.errors import EvaluatorCrashedError, EvaluatorError, LimitExceeded
from forge_cue.model import EvaluationRequest, EvaluationResponse
from forge_cue.process import EvaluatorProcess, Limits

MEBIBYTE = 1 << 20
_LARGE_BODY = 256 << 10


class Evaluator:
    """Evaluates CUE in child processes that are started when needed and kept.

    Used as an asynchronous context manager, within one event loop. Each process serves one request at a time, further
    requests wait for one. A request that exceeds a limit, or that is cancelled once it was sent, ends its process; the next
    request gets a new one.

    `processes`: how many run at most. `time_limit`: seconds for one request, from when it is sent. `memory_limit`,
    `input_limit`, `output_limit`: bytes of one process, of a request, and of a response.
    """

    def __init__(
        self,
        processes: int = 2,
        time_limit: float = 10.0,
        memory_limit: int = 512 * MEBIBYTE,
        *,
        input_limit: int = 32 * MEBIBYTE,
        output_limit: int = 64 * MEBIBYTE,
    ) -> None:
        if processes < 1 or min(time_limit, memory_limit, input_limit, output_limit) <= 0:
            raise ValueError("an evaluator needs at least one process, and limits above zero")
        self._limits = Limits(time=time_limit, memory=memory_limit, input=input_limit, output=output_limit)
        self._processes = processes
        self._places = asyncio.Semaphore(processes)
        self._idle: list[EvaluatorProcess] = []
        self._running: set[EvaluatorProcess] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def processes(self) -> int:
        """How many requests are served at the same time."""
        return self._processes

    @property
    def process_ids(self) -> list[int]:
        """Ids of the processes that run now."""
        return sorted(process.pid for process in self._running)

    async def start(self) -> None:
        """Starts a first process now, so that it is ready when a request comes; raises `EvaluatorError` where it can't be started."""
        async with self._process():
            pass

    async def evaluate(self, request: EvaluationRequest) -> EvaluationResponse:
        """Evaluates the instances of a request.

        Errors in the CUE are part of the results. Raises `LimitExceeded` where the request, its evaluation or its response
        exceeds a limit, `EvaluatorCrashedError` where the process ends for another reason, and `EvaluatorError` where it can't
        be started, where a value can't be written as JSON, or after `aclose`.
        """
        body = await asyncio.to_thread(wire.encode, request)
        if len(body) > self._limits.input:
            raise LimitExceeded("input", self._limits.input)
        async with self._process() as process:
            answer = await process.exchange(body)
        # Whoever waits for the process sends its request first: the process then works while this answer is read.
        await asyncio.sleep(0)
        if len(answer) > _LARGE_BODY:
            return await asyncio.to_thread(self._response, answer)
        return self._response(answer)

    async def aclose(self) -> None:
        """Ends all processes, also those that evaluate; returns when they are gone."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(self._discard(process) for process in list(self._running)))

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[EvaluatorProcess]:
        async with self._places:
            process = await self._take()
            try:
                yield process
            except BaseException:
                await self._discard(process)
                raise
            if self._closed:
                await self._discard(process)
            else:
                self._idle.append(process)

    async def _take(self) -> EvaluatorProcess:
        while self._idle:
            process = self._idle.pop()
            if process.running:
                return process
            await self._discard(process)
        if self._closed:
            raise EvaluatorError("the evaluator is closed")
        process = await EvaluatorProcess.start(self._limits)
        self._running.add(process)
        return process

    async def _discard(self, process: EvaluatorProcess) -> None:
        await process.end()
        self._running.discard(process)

    def _response(self, answer: bytes) -> EvaluationResponse:
        document: dict[str, Any] = wire.decode(answer)
        if document.get("limit") == "output":
            raise LimitExceeded("output", self._limits.output)
        if "failure" in document:
            raise EvaluatorCrashedError(f"the evaluator failed: {document['failure']}")
        return wire.response(document)
