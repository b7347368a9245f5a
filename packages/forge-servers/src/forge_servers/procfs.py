"""Which process holds a file or a socket, read from /proc. Processes of other users are left out where they can't be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
COMMAND_LENGTH = 200


@dataclass(frozen=True)
class Holder:
    """A running process: its id and its command line (shortened), for a message to a person."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


def holders(target: str) -> list[Holder]:
    """The processes with an open descriptor whose link reads `target`: a path, or `socket:[inode]`."""
    return [Holder(pid, _command(pid)) for pid in _pids() if target in _open_files(pid)]


def listening_sockets(port: int) -> list[str]:
    """The sockets that listen on a TCP port, as `socket:[inode]` (format: proc(5), /proc/net/tcp)."""
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.append(f"socket:[{fields[9]}]")
    return found


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def _open_files(pid: int) -> Iterator[str]:
    try:
        descriptors = list((PROC / str(pid) / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield str(descriptor.readlink())
        except OSError:
            continue


def _command(pid: int) -> str:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return "ended meanwhile"
    return words.replace(b"\0", b" ").decode(errors="replace").strip()[:COMMAND_LENGTH] or "no command line"
