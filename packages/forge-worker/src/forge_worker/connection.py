"""The worker's connection to NATS, and waiting for what others set up there."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError
from nats.js.kv import KeyValue

from forge_sdk import nats_connection
from forge_sdk.configuration import Nats
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.messaging import Queue

PATIENCE_S = 60.0
PAUSE_S = 0.25
REQUEST_TIMEOUT_S = 5.0


async def connect(
    configuration: Nats, name: str, on_reconnect: Callable[[], Awaitable[None]], patience_s: float = PATIENCE_S
) -> Client:
    """A connection that reconnects for ever; `on_reconnect` is called each time it did.

    Raises `AuthenticationError` where NATS refuses the user, `TransientError` where it can't be reached for `patience_s`.
    """
    return await nats_connection.connect(
        configuration, name, component="worker", patience_s=patience_s, on_reconnect=on_reconnect
    )


async def wait_for_queue(connection: Client, queue: Queue, patience_s: float = PATIENCE_S) -> float:
    """The consumer's ack wait in seconds, as soon as the stream is there; the platform's API makes it.

    Raises `PlatformError` after `patience_s`.
    """
    jetstream = connection.jetstream(timeout=REQUEST_TIMEOUT_S)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            info = await jetstream.consumer_info(queue.stream, queue.consumer)
            return float(info.config.ack_wait or 30.0)
        except (NotFoundError, APIError, nats.errors.Error, TimeoutError) as error:
            if time.monotonic() >= deadline:
                raise PlatformError(
                    f"consumer {queue.consumer} of stream {queue.stream} is not there: start the platform's API, which makes it, "
                    f"and check the permissions of the worker's NATS user ({str(error) or type(error).__name__})",
                    code=ErrorCode.UNAVAILABLE,
                    component="worker",
                ) from error
        await asyncio.sleep(PAUSE_S)


def bucket(connection: Client, name: str) -> KeyValue:
    """A KV bucket whose reads go to the leader."""
    return nats_connection.leader_bucket(connection.jetstream(timeout=REQUEST_TIMEOUT_S), name)
