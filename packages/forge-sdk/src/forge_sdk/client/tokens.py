"""Where a client's bearer token comes from."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import aiohttp

from forge_sdk.errors import AuthenticationError, ErrorCode, TransientError
from forge_sdk.secrets import Secret

EXPIRY_MARGIN_S = 30.0
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=15)


class TokenSource(Protocol):
    """Gives a valid token whenever one is needed."""

    async def token(self, session: aiohttp.ClientSession) -> Secret:
        """A token that is valid now."""

    def discard(self) -> None:
        """The last token was refused: get another next time."""


class StaticToken:
    """A token that somebody else takes care of."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    async def token(self, session: aiohttp.ClientSession) -> Secret:
        """The token as it was given; `session` is not used."""
        del session
        return self._token

    def discard(self) -> None:
        """Nothing else is known."""


class ClientCredentialsTokens:
    """Tokens of a service account (OAuth 2.0 client credentials, RFC 6749 4.4), kept until shortly before they expire.

    `secret` is called whenever a token is fetched, so a rotated secret is noticed.
    """

    def __init__(self, token_url: str, client_id: str, secret: Callable[[], Secret]) -> None:
        self._token_url, self._client_id, self._secret = token_url, client_id, secret
        self._token: Secret | None = None
        self._expires = 0.0
        self._lock = asyncio.Lock()

    async def token(self, session: aiohttp.ClientSession) -> Secret:
        """A token that is valid for another 30 seconds at least."""
        async with self._lock:
            if self._token is None or time.monotonic() >= self._expires:
                self._token = await self._fetch(session)
            return self._token

    def discard(self) -> None:
        """Forget the token."""
        self._token = None

    async def _fetch(self, session: aiohttp.ClientSession) -> Secret:
        auth = aiohttp.encode_basic_auth(self._client_id, self._secret().reveal())
        form = {"grant_type": "client_credentials"}
        try:
            async with session.post(
                self._token_url, data=form, headers={"Authorization": auth}, timeout=REQUEST_TIMEOUT
            ) as response:
                if response.status in {400, 401, 403}:
                    raise AuthenticationError(
                        f"the issuer refused client {self._client_id!r}: check its secret",
                        code=ErrorCode.AUTHENTICATION_REQUIRED,
                        component="client",
                    )
                response.raise_for_status()
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TransientError(f"the issuer at {self._token_url} can't be reached", component="client") from error
        self._expires = time.monotonic() + float(answer.get("expires_in", 60)) - EXPIRY_MARGIN_S
        return Secret(answer["access_token"])
