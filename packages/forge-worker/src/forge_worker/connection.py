"""The worker's connection to NATS, and waiting for what others set up there."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError
from nats.js.kv import KeyValue

from forge_sdk.configuration import Nats, read_secret_file
from forge_sdk.errors import AuthenticationError, ErrorCode, PlatformError, TransientError
from forge_sdk.logging import get_logger
from forge_sdk.messaging import Queue

PATIENCE_S = 60.0
PAUSE_S = 0.25
REQUEST_TIMEOUT_S = 5.0
PING_INTERVAL_S = 10
RECONNECT_WAIT_S = 1

logger = get_logger(__name__)


async def connect(
    configuration: Nats, name: str, on_reconnect: Callable[[], Awaitable[None]], patience_s: float = PATIENCE_S
) -> Client:
    """A connection that reconnects for ever; `on_reconnect` is called each time it did.

    Raises `AuthenticationError` where NATS refuses the user, `TransientError` where it can't be reached for `patience_s`.
    """

    async def reconnected() -> None:
        logger.info("nats_reconnected")
        await on_reconnect()

    client, errors = Client(), _Errors()
    connecting = client.connect(
        configuration.url.split(","),
        name=name,
        inbox_prefix=configuration.inbox_prefix.encode(),
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_WAIT_S,
        ping_interval=PING_INTERVAL_S,
        error_cb=errors.note,
        disconnected_cb=_on_disconnected,
        reconnected_cb=reconnected,
        **_credentials(configuration),
    )
    # The client tries the first connection, too, for ever, whatever the server says.
    attempt, refused = asyncio.create_task(connecting), asyncio.create_task(errors.refused.wait())
    try:
        await asyncio.wait([attempt, refused], timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if not attempt.done():
            raise _no_connection(configuration, errors)
        await attempt
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise _no_connection(configuration, errors) from error
    finally:
        attempt.cancel()
        refused.cancel()
        await asyncio.gather(attempt, refused, return_exceptions=True)
    return client


class _Errors:
    """What the client reports in the background."""

    def __init__(self) -> None:
        self.refused = asyncio.Event()
        self.last = "no answer"

    async def note(self, error: Exception) -> None:
        self.last = f"{type(error).__name__}: {error}"
        logger.warning("nats_error", error=self.last)
        if "authorization violation" in str(error).lower():
            self.refused.set()


def _credentials(configuration: Nats) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if configuration.user is not None:
        password = read_secret_file(configuration.password_file).reveal() if configuration.password_file else None
        options |= {"user": configuration.user, "password": password}
    if configuration.ca_file is not None:
        options["tls"] = ssl.create_default_context(cafile=str(configuration.ca_file))
    return options


def _no_connection(configuration: Nats, errors: _Errors) -> PlatformError:
    if errors.refused.is_set():
        return AuthenticationError(
            f"NATS at {configuration.url} refused user {configuration.user}: check the section nats", component="worker"
        )
    return TransientError(
        f"NATS at {configuration.url} can't be reached: {errors.last}; is it running, and is nats.url right?",
        component="worker",
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
    """A KV bucket whose reads go to the leader: a stale claim or cancel key would cost more than the detour."""
    jetstream = connection.jetstream(timeout=REQUEST_TIMEOUT_S)
    return KeyValue(name=name, stream=f"KV_{name}", pre=f"$KV.{name}.", js=jetstream, direct=False)


async def _on_disconnected() -> None:
    logger.warning("nats_disconnected")
