"""Ctrl-C while a run is shown."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import click

from forge_cli.errors import lines
from forge_sdk.client import ApiClient
from forge_sdk.errors import PlatformError
from forge_sdk.models.api import RunSummary


@contextmanager
def cancelling(client: ApiClient, run_id: UUID) -> Iterator[None]:
    """The first Ctrl-C asks the platform to cancel the run and goes on showing it; the second leaves at once."""
    loop = asyncio.get_running_loop()
    asked: list[asyncio.Task[RunSummary]] = []

    def interrupt() -> None:
        if asked:
            _leave(run_id)
        click.echo("cancelling; press Ctrl-C again to leave", err=True)
        asked.append(loop.create_task(client.cancel_run(run_id)))
        asked[0].add_done_callback(lambda task: _tell_failure(task, run_id))

    with _on_interrupt(interrupt):
        yield


@contextmanager
def leaving(run_id: UUID) -> Iterator[None]:
    """Ctrl-C leaves, and says that the run goes on."""
    with _on_interrupt(lambda: _leave(run_id)):
        yield


@contextmanager
def _on_interrupt(interrupt: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _leave(run_id: UUID) -> None:
    click.echo(f"the run goes on: forge run --watch {run_id}, forge cancel {run_id}", err=True)
    raise KeyboardInterrupt


def _tell_failure(task: asyncio.Task[RunSummary], run_id: UUID) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if isinstance(error, PlatformError):
        said = "\n".join(lines(error.to_detail()))
        click.echo(f"{said}\nthe run was not cancelled; ask again: forge cancel {run_id}", err=True)
    elif error is not None:
        raise error
