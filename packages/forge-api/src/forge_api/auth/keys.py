"""The issuer's keys: fetched when needed, kept, and fetched again when a token names a key that is not among them."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiohttp
import orjson

from forge_api.auth.urls import require_safe
from forge_sdk.errors import PlatformError, TransientError

DISCOVERY_PATH = "/.well-known/openid-configuration"
MAX_DOCUMENT = 512 * 1024
MAX_AGE_S = 600.0
MIN_INTERVAL_S = 10.0
"""Unknown key ids come from strangers: they may not make the API fetch more often than this."""
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)


class KeySource(Protocol):
    """Gives the public keys of an issuer as JSON Web Keys (RFC 7517)."""

    async def find(self, key_id: str | None) -> Mapping[str, Any] | None:
        """The key of that id (the only one where the token names none), or nothing."""

    async def close(self) -> None:
        """Release what is held."""


class IssuerKeys:
    """Keys of an OIDC issuer, through its discovery document."""

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = require_safe(issuer, "identity.issuer").rstrip("/")
        self._clock = clock
        self._keys: tuple[Mapping[str, Any], ...] = ()
        self._fetched: float | None = None
        self._tried: float | None = None
        self._lock = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def find(self, key_id: str | None) -> Mapping[str, Any] | None:
        """The key of that id; a transient error where the issuer never answered."""
        if not self._fresh() or self._known(key_id) is None:
            async with self._lock:
                await self._refresh(key_id)
        if self._fetched is None:
            raise TransientError("the identity provider can't be reached: try again", component="api")
        return self._known(key_id)

    async def close(self) -> None:
        """Close connections to the issuer."""
        if self._session is not None:
            await self._session.close()

    def _fresh(self) -> bool:
        return self._fetched is not None and self._clock() - self._fetched < MAX_AGE_S

    def _known(self, key_id: str | None) -> Mapping[str, Any] | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.get("kid") == key_id), None)

    async def _refresh(self, key_id: str | None) -> None:
        if self._fresh() and self._known(key_id) is not None:
            return
        if self._tried is not None and self._clock() - self._tried < MIN_INTERVAL_S:
            return
        self._tried = self._clock()
        try:
            keys = await self._fetch()
        except (aiohttp.ClientError, TimeoutError, PlatformError, ValueError) as error:
            # Keys that are known go on being used: an issuer that is down locks nobody out.
            if self._fetched is None:
                raise TransientError("the identity provider can't be reached: try again", component="api") from error
            return
        self._keys, self._fetched = keys, self._clock()

    async def _fetch(self) -> tuple[Mapping[str, Any], ...]:
        document = await self._document(self._issuer + DISCOVERY_PATH)
        if str(document.get("issuer", "")).rstrip("/") != self._issuer:
            raise ValueError("the discovery document names another issuer")
        answer = await self._document(require_safe(str(document.get("jwks_uri", "")), "jwks_uri"))
        keys = answer.get("keys", [])
        if not isinstance(keys, list):
            raise ValueError("the key set has no list of keys")  # noqa: TRY004 - what came from outside is a wrong value
        return tuple(key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig")

    async def _document(self, url: str) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        async with self._session.get(url, allow_redirects=False) as response:
            response.raise_for_status()
            data = await response.content.read(MAX_DOCUMENT + 1)
            while len(data) <= MAX_DOCUMENT and (chunk := await response.content.read(MAX_DOCUMENT)):
                data += chunk
        if len(data) > MAX_DOCUMENT:
            raise ValueError("the issuer's document is too large")
        document = orjson.loads(data)
        if not isinstance(document, dict):
            raise ValueError("the issuer's document is not an object")  # noqa: TRY004 - as above
        return document
