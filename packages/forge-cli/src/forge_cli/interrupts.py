"""Ctrl-C while a run is shown."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import click

from forge_sdk.client import ApiClient


@contextmanager
def cancelling(client: ApiClient, run_id: UUID) -> Iterator[None]:
    """The first Ctrl-C asks the platform to cancel the run and goes on showing it; the second leaves at once."""
    loop = asyncio.get_running_loop()
    asked: list[asyncio.Task[object]] = []

    def interrupt() -> None:
        if asked:
            raise KeyboardInterrupt
        click.echo("cancelling; press Ctrl-C again to leave", err=True)
        asked.append(loop.create_task(client.cancel_run(run_id)))

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
