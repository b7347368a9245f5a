"""Starts a program at the cost of the program alone, and notices its end."""

import asyncio
import os
import subprocess
import threading
from contextlib import suppress


class Child:
    """A started program that the running event loop collects when it ends, also when nobody waits.

    For programs of `subprocess.Popen`, which borrows the worker's memory until the program is loaded (vfork), as long
    as it is given no `preexec_fn` and no other user or group. uvloop's own way copies the page tables of the whole worker
    for each program.
    """

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        if not self._watched():
            # A thread of its own: in the shared pool, programs that run long would keep the search for processes waiting.
            threading.Thread(target=self._wait_in_thread, name=f"wait-{program.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id, which is the system's to give away again once the program was collected."""
        return self._program.pid

    @property
    def returncode(self) -> int | None:
        """The exit code (negative: the signal), or `None` before the end was noticed."""
        return self._program.returncode if self._ended.is_set() else None

    async def wait(self) -> int:
        """The exit code, once the program has ended (negative: the signal). Any number of tasks may wait."""
        await self._ended.wait()
        exit_code: int = self._program.returncode
        return exit_code

    def _watched(self) -> bool:
        """Whether the loop tells of the end: old kernels and system call filters refuse the descriptor for that."""
        try:
            descriptor = os.pidfd_open(self._program.pid)
        except (OSError, AttributeError):
            return False
        try:
            self._loop.add_reader(descriptor, self._collect, descriptor)
        except (OSError, NotImplementedError):
            os.close(descriptor)
            return False
        return True

    def _collect(self, descriptor: int) -> None:
        if self._program.poll() is None:
            return
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        self._ended.set()

    def _wait_in_thread(self) -> None:
        self._program.wait()
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._ended.set)
