"""What the four servers have in common: start, readiness, stop, and what is known while they run."""

import asyncio
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from .directory import DirectoryLock, make_private
from .errors import ServerError
from .ports import Port, is_taken
from .process import ChildProcess, Command

READY_POLL = 0.01
PORT_ATTEMPTS = 5


class Server(ABC):
    """A server in one directory, listening on loopback.

    Each method that waits exists twice: `await start()` for asyncio, `start_blocking()` for everybody else; the object
    is a context manager in both forms. A server that was stopped or that died may be started again, on the same data
    and ports. It ends when this process dies.

    Parameters
    ----------
    directory:
        Holds everything that the server keeps; made at the first start with mode 0700. One server at a time.
    port:
        Port on 127.0.0.1; without it a free one is chosen at the first start.
    start_timeout, stop_timeout:
        Seconds until a start is given up, and until a stop becomes a kill.
    lock_timeout:
        Seconds to wait for another server on the same directory that is just ending.

    Raises
    ------
    `MissingServerError` (at start) where the program isn't installed, `PortTakenError` with the holder where a port is
    taken, `DirectoryInUseError` where another server runs on the directory, `ServerError` with the end of the log where
    the server ends or isn't ready in time.
    """

    title: ClassVar[str]
    log_name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self,
        directory: str | os.PathLike[str],
        port: int | None = None,
        *,
        start_timeout: float = 30.0,
        stop_timeout: float = 10.0,
        lock_timeout: float = 10.0,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.start_timeout = start_timeout
        self.stop_timeout = stop_timeout
        self.lock_timeout = lock_timeout
        self._port = Port(port)
        self._child: ChildProcess | None = None
        self._abandoned = threading.Event()

    @property
    def port(self) -> int:
        """The port that the server listens on. `ServerError` before the first start where none was given."""
        return self._port.number

    @property
    @abstractmethod
    def url(self) -> str:
        """What a client connects to, with the credentials where the URL form has a place for them."""

    @property
    def log_file(self) -> Path:
        """Where the server's output goes. A file above 10 MiB is moved to `<name>.1` at the next start."""
        return self.directory / self.log_name

    @property
    def pid(self) -> int | None:
        """The process id, or None where the server doesn't run."""
        return None if self._child is None or self._child.poll() is not None else self._child.pid

    async def start(self) -> None:
        """Starts the server and returns when it answers. Cancelling stops it again."""
        self._abandoned.clear()
        started = asyncio.create_task(asyncio.to_thread(self._start))
        try:
            await asyncio.shield(started)
        except asyncio.CancelledError:
            self._abandoned.set()
            await asyncio.gather(started, return_exceptions=True)
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the server and all its processes; nothing happens where it doesn't run."""
        await asyncio.to_thread(self.stop_blocking)

    async def wait(self) -> int:
        """Waits until the server's process ends and returns its exit code (negative: the signal that ended it)."""
        child = self._started_child()
        descriptor = child.descriptor()
        if descriptor is not None:
            try:
                await _readable(descriptor)
            finally:
                os.close(descriptor)
        code = child.poll()
        if code is None:
            raise ServerError(f"{self.title} (process {child.pid}) ended, but its exit code can't be read")
        return code

    async def problem(self) -> str | None:
        """Why the server can't be used now; None where it runs, answers, and says that it is well."""
        pid = self.pid
        return "it does not run" if pid is None else await asyncio.to_thread(self._problem, pid)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def start_blocking(self) -> None:
        """Starts the server and returns when it answers."""
        self._abandoned.clear()
        self._start()

    def stop_blocking(self) -> None:
        """Ends the server and all its processes; nothing happens where it doesn't run."""
        if self._child is not None:
            self._child.stop(self.stop_timeout)

    def wait_blocking(self, timeout: float) -> int | None:
        """The exit code, or None where the server still runs after `timeout` seconds."""
        return self._started_child().wait(timeout)

    def __enter__(self) -> Self:
        self.start_blocking()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_blocking()

    @abstractmethod
    def _prepare(self, lock: DirectoryLock) -> None:
        """Makes the directory ready; no process of an earlier server is alive."""

    @abstractmethod
    def _command(self) -> Command:
        """What to run, with the ports that were claimed."""

    @abstractmethod
    def _problem(self, pid: int) -> str | None:
        """Why the server can't be used now; None where it answers. Called every few milliseconds at a start."""

    def _ports(self) -> list[Port]:
        return [self._port]

    def _start(self) -> None:
        if self.pid is not None:
            raise ServerError(f"{self.title} already runs as process {self.pid}: stop it first")
        make_private(self.directory)
        with DirectoryLock(self.directory / "server.lock", self.title, self.lock_timeout) as lock:
            self._claim_ports()
            self._prepare(lock)
            for _ in range(PORT_ATTEMPTS):
                if self._try_ports(lock):
                    return
                self._claim_ports()
        raise ServerError(f"{self.title}: no free port was found in {PORT_ATTEMPTS} attempts; give one")

    def _claim_ports(self) -> None:
        # A server's own ports differ: nothing listens on any of them yet, so one may be offered twice.
        claimed: set[int] = set()
        for port in sorted(self._ports(), key=lambda port: port.may_change):
            port.claim(self.title, claimed)
            claimed.add(port.number)

    def _try_ports(self, lock: DirectoryLock) -> bool:
        """Starts the server; False where a chosen port was taken by somebody else in the meantime."""
        ports = self._ports()
        self._child = child = ChildProcess(self._command(), keep_open=(lock.descriptor,))
        lock.record(child.pid)
        try:
            self._wait_ready(child)
        except BaseException:
            ended_itself = child.poll() is not None
            child.stop(self.stop_timeout)
            if ended_itself and any(port.may_change for port in ports) and self._lost_a_port(child, ports):
                return False
            raise
        for port in ports:
            port.keep()
        return True

    def _lost_a_port(self, child: ChildProcess, ports: list[Port]) -> bool:
        # Who took it may be gone again: an outgoing connection has a port, too.
        told = "address already in use" in child.log_tail().lower()
        return told or any(port.may_change and is_taken(port.number) for port in ports)

    def _wait_ready(self, child: ChildProcess) -> None:
        deadline = time.monotonic() + self.start_timeout
        while True:
            problem = self._problem(child.pid)
            if (code := child.poll()) is not None:
                raise ServerError(f"{self.title} ended with {code} at its start. {self._told(child)}")
            if problem is None:
                return
            if self._abandoned.is_set():
                raise ServerError(f"the start of {self.title} was given up")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.title} is not ready after {self.start_timeout:g} s: {problem}. {self._told(child)}"
                )
            time.sleep(READY_POLL)

    def _told(self, child: ChildProcess) -> str:
        return f"The end of {self.log_file}:\n{child.log_tail() or '(nothing)'}"

    def _started_child(self) -> ChildProcess:
        if self._child is None:
            raise ServerError(f"{self.title} was never started")
        return self._child


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, note)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
