"""TCP ports on loopback: free ones, and who holds a taken one."""

import errno
import socket
from collections.abc import Container

from .errors import PortTakenError, ServerError
from .procfs import Holder, holders, listening_sockets

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens. Use it at once: it is not reserved."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """Whether a server could not listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise ServerError(f"port {port} can't be used: {error.strerror}; give another one") from error
    return False


def port_holder(port: int) -> Holder | None:
    """The process that listens on the port, or None where there is none or it can't be told (another user's process)."""
    return next((holder for socket_ in listening_sockets(port) for holder in holders(socket_)), None)


class Port:
    """A given port, or one that is chosen free at the first start and kept for later starts.

    `given` is None for a chosen one. `claim()` is called before each start, `keep()` once the server listens.
    """

    def __init__(self, given: int | None) -> None:
        if given is not None and not 0 < given < 2**16:
            raise ServerError(f"{given} is not a port: give one between 1 and 65535, or none for a free one")
        self._number = given
        self._kept = given is not None

    @property
    def number(self) -> int:
        """The port. `ServerError` before the first start of a server whose port is chosen."""
        if self._number is None:
            raise ServerError("the port is known once the server has been started")
        return self._number

    @property
    def may_change(self) -> bool:
        """Whether another port may be chosen: nobody was told about this one yet."""
        return not self._kept

    def claim(self, title: str, others: Container[int] = ()) -> None:
        """Chooses a free port that is none of `others`, or raises `PortTakenError` where a fixed one is taken."""
        if self.may_change:
            self._number = free_port()
            while self._number in others:
                self._number = free_port()
        elif is_taken(self.number):
            holder = port_holder(self.number) or "a process that can't be told"
            raise PortTakenError(f"port {self.number} for {title} is taken by {holder}: end it, or give another port")

    def keep(self) -> None:
        self._kept = True
