"""Authentication backend for oras: one token for each repository and kind of access, renewed when it expires.

oras's own backends keep one token for the whole client and never renew it, so that a push after a pull fails.
"""

import json
import re
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from oras.auth.base import AuthBackend
from oras.auth.utils import parse_auth_header
from oras.container import Container

from forge_sdk.errors import AuthenticationError

from .credentials import (
    COMPONENT,
    IDENTITY_TOKEN_USER,
    Credentials,
    CredentialSource,
    decode_basic,
    docker_configuration,
)
from .failures import failure, registry_failed

_REPOSITORY = re.compile(r"/v2/(.+)/(?:blobs|manifests|referrers|tags)/")
_CHALLENGE = re.compile(r"(?:^|,)\s*(Bearer|Basic)(?:\s+|$)", re.IGNORECASE)
_TOKEN_ANSWER_BYTES = 1024 * 1024
_DEFAULT_LIFETIME = 60.0
_USABLE_PART = 0.8
_READS = {"GET", "HEAD"}
_Key = tuple[str, bool]


class RegistryAuth(AuthBackend):  # type: ignore[misc] # oras has no type annotations
    """Answers challenges of one registry; `source` gives its credentials, None means docker's configuration."""

    def __init__(self, host: str, source: CredentialSource | None) -> None:
        super().__init__()
        self.hostname = host
        self._source = source
        self._basic_auth: str | None = None
        self._tokens: dict[_Key, tuple[str, float]] = {}
        self._basic: str | None = None

    def headers_for(self, method: str, url: str) -> dict[str, str]:
        """Return the authorization that is known already for a request; none for other hosts."""
        if urlsplit(url).netloc != self.hostname:
            return {}
        if self._basic is not None:
            return {"Authorization": f"Basic {self._basic}"}
        token, deadline = self._tokens.get(_key(method, url), ("", 0.0))
        return {"Authorization": f"Bearer {token}"} if time.monotonic() < deadline else {}

    def authenticate_request(
        self, original: requests.Response, headers: dict[str, str] | None, refresh: bool = False
    ) -> tuple[dict[str, str], bool]:
        """Answer the challenge of a 401 or 403 (called by oras); raises `AuthenticationError` where it can't."""
        with original:
            authorization = self._answer(original, refresh)
        return {**(headers or {}), "Authorization": authorization}, True

    def _answer(self, original: requests.Response, refresh: bool) -> str:
        method, url = str(original.request.method), str(original.request.url)
        challenges = _challenges(original.headers.get("WWW-Authenticate", ""))
        if refresh or not challenges or urlsplit(url).netloc != self.hostname:
            raise failure(original)
        credentials = self._credentials()
        if "bearer" in challenges:
            token, lifetime = self._request_token(challenges["bearer"], _key(method, url), credentials)
            self._tokens[_key(method, url)] = (token, time.monotonic() + lifetime * _USABLE_PART)
            return f"Bearer {token}"
        if credentials is None or original.request.headers.get("Authorization") == f"Basic {credentials.basic}":
            raise failure(original)
        self._basic = credentials.basic
        return f"Basic {self._basic}"

    def _credentials(self) -> Credentials | None:
        if self._source is not None:
            return self._source(self.hostname)
        self._auth_config = docker_configuration()
        identity = (self._auth_config["auths"].get(self.hostname) or {}).get("identitytoken")
        if identity:
            return Credentials(IDENTITY_TOKEN_USER, identity)
        basic = self._docker_login()
        return decode_basic(basic) if basic else None

    def _docker_login(self) -> str | None:
        self._basic_auth = None
        self.load_configs(Container("repository", registry=self.hostname))
        return self._basic_auth

    def _request_token(self, challenge: str, key: _Key, credentials: Credentials | None) -> tuple[str, float]:
        parsed = parse_auth_header(challenge)
        repository, writes = key
        scope = parsed.scope or f"repository:{repository}:{'pull,push' if writes else 'pull'}"
        fields = {"scope": scope} | ({"service": parsed.service} if parsed.service else {})
        realm = str(parsed.realm or "")
        if not realm.startswith("https://" if self.prefix == "https" else ("http://", "https://")):
            raise registry_failed(f"registry {self.hostname} names a token service that is not https: {realm[:200]!r}")
        if credentials is not None and credentials.username == IDENTITY_TOKEN_USER:
            form = {"grant_type": "refresh_token", "client_id": "catalyst-forge", "refresh_token": credentials.password}
            response = self._send("POST", realm, data=fields | form)
        else:
            headers = {"Authorization": f"Basic {credentials.basic}"} if credentials else {}
            response = self._send("GET", realm, params=fields, headers=headers)
        return _read_token(response)

    def _send(self, method: str, url: str, **arguments: Any) -> requests.Response:
        session: requests.Session = self.session
        return session.request(method, url, verify=self._tls_verify, stream=True, **arguments)


def _read_token(response: requests.Response) -> tuple[str, float]:
    if response.status_code != requests.codes.ok:
        raise failure(response)
    with response:
        content = response.raw.read(_TOKEN_ANSWER_BYTES, decode_content=True)
    try:
        value = json.loads(content)
        token = value.get("token") or value["access_token"]
        lifetime = float(value.get("expires_in") or _DEFAULT_LIFETIME)
    except (ValueError, TypeError, AttributeError, KeyError):
        # Without its cause: a parser's message may quote the token.
        raise AuthenticationError(
            "the registry's token service sent no token: check its address", component=COMPONENT
        ) from None
    return str(token), max(lifetime, _DEFAULT_LIFETIME)


def _key(method: str, url: str) -> _Key:
    found = _REPOSITORY.search(urlsplit(url).path)
    return (found[1] if found else "", method.upper() not in _READS)


def _challenges(header: str) -> dict[str, str]:
    """Split a WWW-Authenticate header, which may hold several challenges, into scheme and parameters."""
    found = list(_CHALLENGE.finditer(header))
    ends = [match.start() for match in found[1:]] + [len(header)]
    return {match[1].lower(): header[match.end() : end] for match, end in zip(found, ends, strict=False)}
