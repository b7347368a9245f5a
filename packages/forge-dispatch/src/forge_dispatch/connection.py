"""The connection to NATS that services keep."""

import asyncio
import ssl
from pathlib import Path
from typing import Any, Protocol

import nats.errors
import structlog
from nats.aio.client import Client

from forge_dispatch.failures import COMPONENT, translated
from forge_sdk.errors import AuthenticationError
from forge_sdk.secret_files import read_secret_file

PING_INTERVAL_S = 10
RECONNECT_WAIT_S = 1
CONNECT_LIMIT_S = 5.0
"""Seconds for the first connection; later ones are tried for ever."""
_logger = structlog.get_logger("forge_dispatch")


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


async def connect(configuration: ConnectionSettings, name: str) -> Client:
    """A connection that reconnects for ever, known to the server as `name`.

    Raises `TransientError` where the first connection can't be made, `AuthenticationError` where NATS refuses the
    credentials, `ConfigurationError` where the password's file can't be used.
    """
    options: dict[str, Any] = _credentials(configuration)
    if configuration.ca_file is not None:
        options["tls"] = ssl.create_default_context(cafile=str(configuration.ca_file))
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
        reconnected_cb=_on_reconnected,
        **options,
    )
    # The client tries the first connection, too, for ever, whatever the server says.
    attempt, refused = asyncio.create_task(connecting), asyncio.create_task(errors.refused.wait())
    try:
        await asyncio.wait([attempt, refused], timeout=CONNECT_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        with translated(f"connecting to {configuration.url}"):
            if attempt.done():
                await attempt
            elif errors.refused.is_set():
                raise AuthenticationError(
                    f"NATS at {configuration.url} refused user {configuration.user}: check the section nats",
                    component=COMPONENT,
                )
            else:
                raise nats.errors.NoServersError
    finally:
        attempt.cancel()
        refused.cancel()
        await asyncio.gather(attempt, refused, return_exceptions=True)
    return client


class _Errors:
    """What the client reports in the background."""

    def __init__(self) -> None:
        self.refused = asyncio.Event()

    async def note(self, error: Exception) -> None:
        _logger.warning("nats_error", error=f"{type(error).__name__}: {error}")
        if "authorization violation" in str(error).lower():
            self.refused.set()


def _credentials(configuration: ConnectionSettings) -> dict[str, Any]:
    if configuration.user is None:
        return {}
    password = read_secret_file(configuration.password_file).reveal() if configuration.password_file else None
    return {"user": configuration.user, "password": password}


async def _on_disconnected() -> None:
    _logger.warning("nats_disconnected")


async def _on_reconnected() -> None:
    _logger.info("nats_reconnected")
