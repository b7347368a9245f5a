"""The connection to NATS that services keep (extra `nats`)."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from forge_sdk.errors import AuthenticationError, ConfigurationError, PlatformError, TransientError
from forge_sdk.secret_files import read_secret_file

PING_INTERVAL_S = 10
RECONNECT_WAIT_S = 1
CLOSE_TIMEOUT_S = 5.0

# Not `forge_sdk.logging`, which imports the models of configuration files: a one-shot dispatcher has no use for them.
logger: Any = structlog.get_logger(__name__)


class ConnectionSettings(Protocol):
    """Where NATS is and who connects (`forge_sdk.configuration.Nats` is one); `url` may name several servers."""

    @property
    def url(self) -> str:
        """URL, or several with commas between them."""

    @property
    def user(self) -> str | None:
        """The service's user."""

    @property
    def password_file(self) -> Path | None:
        """File of the user's password."""

    @property
    def ca_file(self) -> Path | None:
        """Certificates of the authorities that are trusted."""

    @property
    def inbox_prefix(self) -> str:
        """Prefix of the service's inboxes."""


async def connect(
    settings: ConnectionSettings,
    name: str,
    *,
    component: str,
    patience_s: float,
    on_reconnect: Callable[[], Awaitable[None]] | None = None,
) -> Client:
    """A connection that reconnects for ever, known to the server as `name`; `on_reconnect` is called each time it did.

    Raises, as errors of `component`: `AuthenticationError` where NATS refuses the user, `TransientError` where it can't be
    reached for `patience_s`, `ConfigurationError` where the password's or the certificates' file can't be used.
    """

    async def reconnected() -> None:
        logger.info("nats_reconnected")
        if on_reconnect is not None:
            await on_reconnect()

    client, errors = Client(), _Errors()
    connecting = client.connect(
        settings.url.split(","),
        name=name,
        inbox_prefix=settings.inbox_prefix.encode(),
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_WAIT_S,
        ping_interval=PING_INTERVAL_S,
        error_cb=errors.note,
        disconnected_cb=_on_disconnected,
        reconnected_cb=reconnected,
        **_credentials(settings, component),
    )
    # The client tries the first connection, too, for ever, whatever the server says.
    attempt, refused = asyncio.create_task(connecting), asyncio.create_task(errors.refused.wait())
    try:
        await asyncio.wait([attempt, refused], timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if not attempt.done():
            raise _no_connection(settings, errors, component)
        await attempt
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise _no_connection(settings, errors, component) from error
    finally:
        attempt.cancel()
        refused.cancel()
        await asyncio.gather(attempt, refused, return_exceptions=True)
    return client


async def close(client: Client) -> None:
    """Send what is buffered, where the server is there, and close; where that fails the log says so."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            try:
                if client.is_connected:
                    await client.flush()
            finally:
                await client.close()
    except (nats.errors.Error, TimeoutError, OSError, RuntimeError) as error:
        # RuntimeError: what is buffered is written also to a connection that was lost, which uvloop refuses.
        logger.warning("nats_not_closed", error=f"{type(error).__name__}: {error}")


def leader_bucket(jetstream: JetStreamContext, name: str) -> KeyValue:
    """The KV bucket `name`, read from its leader: a stale claim or cancel key would cost more than the detour."""
    return KeyValue(name=name, stream=f"KV_{name}", pre=f"$KV.{name}.", js=jetstream, direct=False)


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


def _credentials(settings: ConnectionSettings, component: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if settings.user is not None:
        password = read_secret_file(settings.password_file).reveal() if settings.password_file else None
        options |= {"user": settings.user, "password": password}
    if settings.ca_file is not None:
        try:
            options["tls"] = ssl.create_default_context(cafile=str(settings.ca_file))
        except OSError as error:
            raise ConfigurationError(
                f"the certificates in {settings.ca_file} can't be used: {error.strerror}; check nats.ca_file",
                component=component,
            ) from error
    return options


def _no_connection(settings: ConnectionSettings, errors: _Errors, component: str) -> PlatformError:
    if errors.refused.is_set():
        return AuthenticationError(
            f"NATS at {settings.url} refused user {settings.user}: check the section nats", component=component
        )
    return TransientError(
        f"NATS at {settings.url} can't be reached: {errors.last}; is it running, and is nats.url right?",
        component=component,
    )


async def _on_disconnected() -> None:
    logger.warning("nats_disconnected")
