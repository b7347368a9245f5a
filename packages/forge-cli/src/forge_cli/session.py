"""The platform that a command talks to: the one of `forge up`, or the one of the environment."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp

from forge_cli.errors import UnreachableError
from forge_cli.layout import Layout, http_url
from forge_sdk.client import ApiClient, ClientCredentialsTokens, TokenSource
from forge_sdk.errors import AuthenticationError, ConfigurationError
from forge_sdk.secrets import Secret

Result = TypeVar("Result")
USER_CLIENT = "user"


class _FileToken:
    """The token in a file, read again for each request: whoever writes the file may replace it while a run is watched."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def token(self, session: aiohttp.ClientSession) -> Secret:
        del session
        return _read(self._file)

    def discard(self) -> None:
        """The next request reads the file again anyhow."""


@asynccontextmanager
async def platform() -> AsyncIterator[ApiClient]:
    """A client of `$FORGE_API_URL` with the token in `$FORGE_TOKEN_FILE`, else of the embedded platform of this user."""
    url, tokens = _from_environment() or _embedded(Layout.default())
    async with ApiClient(url, tokens) as client:
        yield client


def call(operation: Callable[[ApiClient], Awaitable[Result]]) -> Result:
    """Run one operation against the platform."""

    async def once() -> Result:
        async with platform() as client:
            return await operation(client)

    return asyncio.run(once())


def _from_environment() -> tuple[str, TokenSource] | None:
    url = os.environ.get("FORGE_API_URL")
    if not url:
        return None
    file = os.environ.get("FORGE_TOKEN_FILE")
    if not file:
        raise ConfigurationError(
            "FORGE_API_URL is set but FORGE_TOKEN_FILE is not: name the file that holds your token"
        )
    return url, _FileToken(Path(file))


def _embedded(layout: Layout) -> tuple[str, TokenSource]:
    found = layout.read_platform()
    if found is None:
        raise UnreachableError(
            f"there is no platform in {layout.data}: start one with `forge up`, or set FORGE_API_URL"
        )
    secret = layout.client_secret(USER_CLIENT)
    tokens = ClientCredentialsTokens(f"{http_url(found.ports.issuer)}/token", USER_CLIENT, lambda: _read(secret))
    return http_url(found.ports.api), tokens


def _read(file: Path) -> Secret:
    try:
        return Secret(file.read_text().strip())
    except OSError as error:
        raise AuthenticationError(f"{file} can't be read: {error.strerror}") from error
