"""What can be told about a supervisor from outside: whether it runs, what it says of its services, and how to stop it."""

import fcntl
import json
import os
import shutil
import signal
import time

from forge_cli.layout import Layout
from forge_sdk.errors import PlatformError
from forge_sdk.models.base import WireModel

STOP_TIMEOUT_S = 90.0
POLL_S = 0.05
LITTLE_SPACE = 16 * 2**20
"""Bytes; with less on their disk services fail."""


class ServiceState(WireModel):
    """One service of the platform: `status` is starting, running, unhealthy (then `problem` says why), restarting or stopped."""

    status: str
    problem: str = ""
    pid: int | None = None
    restarts: int = 0
    address: str = ""


def running(layout: Layout) -> int | None:
    """Process id of the supervisor that holds the data directory, `None` where there is none."""
    try:
        with layout.lock_file.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read().strip() or 0) or None
    except FileNotFoundError:
        pass
    return None


def read_state(layout: Layout) -> dict[str, ServiceState]:
    """The services as the supervisor last wrote them."""
    try:
        content = json.loads(layout.state_file.read_text())
    except (OSError, ValueError):
        return {}
    return {name: ServiceState.model_validate(state) for name, state in content.items()}


def lack_of_space(layout: Layout) -> str | None:
    """What is said where the disk of the data directory is full."""
    free = shutil.disk_usage(layout.data).free
    return (
        f"the disk of {layout.data} is full ({free // 2**20} MiB are free): make room" if free < LITTLE_SPACE else None
    )


def stop(layout: Layout, pid: int) -> None:
    """Ask the supervisor to stop, and wait for it; raises `PlatformError` where it doesn't."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while running(layout) == pid:
        if time.monotonic() > deadline:
            raise PlatformError(
                f"the platform in {layout.data} has not stopped within {STOP_TIMEOUT_S:.0f} s: look at {layout.logs}, or kill process {pid}"
            )
        time.sleep(POLL_S)
