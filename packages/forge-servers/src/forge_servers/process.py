"""One supervised child process: its own session, a log file, and a signal when this process dies."""

import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import spawner
from .errors import ServerError
from .privilege import Identity
from .programs import own_program

LOG_LIMIT = 10 * 2**20
TAIL_LENGTH = 2000
INHERITED = ("PATH", "HOME", "TMPDIR")


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run. The environment holds nothing of this process but PATH, HOME, TMPDIR and what is given."""

    arguments: Sequence[str | Path]
    log_file: Path
    working_directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)
    stop_signal: signal.Signals = signal.SIGTERM


class ChildProcess:
    """A running `Command`. It is sent its stop signal when this process dies, however that happens.

    Safe to use from several threads. `keep_open` are descriptors that the child (and its children) inherit.
    """

    def __init__(self, command: Command, keep_open: Sequence[int] = ()) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._exit_code: int | None = None
        _shorten(command.log_file)
        with command.log_file.open("ab") as log:
            command.log_file.chmod(0o600)
            self._log_start = log.tell()
            self._process = spawner.spawn(lambda: _start(command, log.fileno(), keep_open))
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs. Never waits."""
        with self._lock:
            # Looked at before it is reaped: until then the group's number can't belong to anybody else.
            if self._exit_code is None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._kill_group()
                self._exit_code = self._process.wait()
            return self._exit_code

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process itself; nothing happens where it ended."""
        with self._lock:
            if self._exit_code is None:
                os.kill(self.pid, number)

    def descriptor(self) -> int | None:
        """A new descriptor that becomes readable when the process ends (pidfd_open(2)); None where it has ended.

        The caller closes it.
        """
        with self._lock:
            return None if self._exit_code is not None else os.pidfd_open(self.pid)

    def wait(self, timeout: float) -> int | None:
        """The exit code, or None where the process still runs after `timeout` seconds."""
        descriptor = self.descriptor()
        if descriptor is not None:
            try:
                _await_readable(descriptor, timeout)
            finally:
                os.close(descriptor)
        return self.poll()

    def stop(self, grace: float) -> int:
        """Asks the process to end, kills its group after `grace` seconds, and returns the exit code."""
        self.send(self._command.stop_signal)
        code = self.wait(grace)
        while code is None:
            with self._lock:
                self._kill_group()
            code = self.wait(1.0)
        return code

    def log_tail(self) -> str:
        """The end of what the process has written since it was started."""
        with self._command.log_file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(min(size, max(self._log_start, size - TAIL_LENGTH)))
            return log.read().decode(errors="replace").strip()

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _start(command: Command, output: int, keep_open: Sequence[int]) -> subprocess.Popen[bytes]:
    wrapper = [str(own_program("forge-child")), str(os.getpid()), str(int(command.stop_signal))]
    user = command.identity.user
    try:
        return subprocess.Popen(
            [*command.identity.prefix, *wrapper, *map(str, command.arguments)],
            cwd=command.working_directory,
            env={name: os.environ[name] for name in INHERITED if name in os.environ} | dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=keep_open,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except OSError as error:
        raise ServerError(f"{command.arguments[0]} can't be started: {error}") from error


def _await_readable(descriptor: int, timeout: float) -> None:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    waiting.poll(timeout * 1000)


def _shorten(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > LOG_LIMIT:
        log_file.replace(log_file.with_name(f"{log_file.name}.1"))
