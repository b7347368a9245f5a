"""The dispatcher's connection to NATS."""

from nats.aio.client import Client

from forge_dispatch.failures import COMPONENT
from forge_sdk import nats_connection
from forge_sdk.nats_connection import ConnectionSettings

CONNECT_LIMIT_S = 5.0
"""Seconds for the first connection; later ones are tried for ever."""


async def connect(configuration: ConnectionSettings, name: str) -> Client:
    """A connection that reconnects for ever, known to the server as `name`.

    Raises `TransientError` where the first connection can't be made, `AuthenticationError` where NATS refuses the
    credentials, `ConfigurationError` where a file with a password or certificates can't be used.
    """
    return await nats_connection.connect(configuration, name, component=COMPONENT, patience_s=CONNECT_LIMIT_S)
