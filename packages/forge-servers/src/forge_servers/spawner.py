"""Starts processes from one thread that lives as long as this process.

Linux sends a child the signal of PR_SET_PDEATHSIG when the *thread* that started it ends, not the process
(prctl(2)). A server started from a worker thread would end with that thread.
"""

import os
import queue
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future

Process = subprocess.Popen[bytes]


class Spawner:
    """Runs `subprocess.Popen` calls in its own thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._jobs: queue.SimpleQueue[tuple[Future[Process], Callable[[], Process]]] = queue.SimpleQueue()

    def spawn(self, start: Callable[[], Process]) -> Process:
        """Calls `start` in the thread, and returns or raises what it does."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="forge-servers-spawner", daemon=True)
                self._thread.start()
        answer: Future[Process] = Future()
        self._jobs.put((answer, start))
        return answer.result()

    def _run(self) -> None:
        while True:
            answer, start = self._jobs.get()
            try:
                answer.set_result(start())
            except BaseException as error:  # noqa: BLE001 the caller gets it
                answer.set_exception(error)


spawner = Spawner()


def _renew() -> None:
    # A forked process has no thread but the one that forked.
    globals()["spawner"] = Spawner()


os.register_at_fork(after_in_child=_renew)


def spawn(start: Callable[[], Process]) -> Process:
    """Starts a process that may be tied to the life of this one."""
    return spawner.spawn(start)
