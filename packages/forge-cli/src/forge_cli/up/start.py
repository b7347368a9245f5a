"""`forge up`: start the supervisor, and wait until it says that everything is ready."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import click

from forge_cli.exits import Exit
from forge_cli.layout import Layout, http_url
from forge_cli.supervision import running
from forge_sdk.errors import PlatformError
from forge_sdk.models.error import ErrorDetail

READY_TIMEOUT_S = 90.0
TAIL = 2000


def start(layout: Layout, *, foreground: bool, new_ports: bool, as_json: bool) -> int:
    """Start the platform in `layout`, or say that it runs; the exit code of the command."""
    pid = running(layout)
    if pid is not None:
        _tell(layout, "already runs", as_json=as_json)
        return Exit.SUCCESS
    layout.data.mkdir(parents=True, exist_ok=True)
    layout.data.chmod(0o700)
    layout.logs.mkdir(exist_ok=True, mode=0o700)
    began = time.monotonic()
    command = [sys.executable, "-m", "forge_cli.up", str(layout.data), *(["--new-ports"] if new_ports else [])]
    if foreground:
        os.execv(sys.executable, command)  # noqa: S606 - our own program with fixed arguments
    _start_detached(command, layout.logs / "supervisor.log")
    _tell(layout, f"ready after {time.monotonic() - began:.1f}s", as_json=as_json)
    return Exit.SUCCESS


def _start_detached(command: list[str], log: Path) -> None:
    reading, writing = os.pipe()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "--ready-descriptor", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(writing,),
            start_new_session=True,
            cwd="/",
        )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = _read(pipe.fileno())
    if answer is None:
        process.terminate()
        raise PlatformError(f"the platform was not ready within {READY_TIMEOUT_S:.0f} s: see {log}")
    if not answer:
        process.wait(10)
        raise PlatformError(f"the platform ended while it started: {_last_lines(log)}; see {log}")
    _check(json.loads(answer))


def _read(descriptor: int) -> bytes | None:
    data, deadline = b"", time.monotonic() + READY_TIMEOUT_S
    while not data.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return data
        data += chunk
    return data


def _check(answer: dict[str, object]) -> None:
    if "error" in answer:
        raise PlatformError.from_detail(ErrorDetail.model_validate(answer["error"]))


def _tell(layout: Layout, what: str, *, as_json: bool) -> None:
    platform, pid = layout.read_platform(), running(layout)
    api = http_url(platform.ports.api) if platform is not None else ""
    if as_json:
        click.echo(json.dumps({"running": True, "pid": pid, "data": str(layout.data), "api": api}))
    else:
        click.echo(
            f"the platform {what}: API {api}, data {layout.data}, supervisor {pid}; steps of pipelines run as your user"
        )


def _last_lines(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        return file.read().decode(errors="replace").strip()[-TAIL:]
