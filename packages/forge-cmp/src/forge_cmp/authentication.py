"""Answers the challenge of a registry: basic, or a bearer token from its token service (distribution specification)."""

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from .connection import Answer, Connections
from .deadline import Deadline, TransientFailure
from .errors import CmpError
from .settings import Settings

if TYPE_CHECKING:
    from .credentials import Credentials

MAX_TOKEN_ANSWER = 1024 * 1024
_CHALLENGE = re.compile(r"\s*(basic|bearer)(?:\s+(.*))?$", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')
_OK = 200
_SERVER_ERROR = 500


class Authentication:
    """The authorization for one registry, found when the registry first asks for it."""

    def __init__(self, settings: Settings, deadline: Deadline, connections: Connections) -> None:
        self._settings, self._deadline, self._connections = settings, deadline, connections
        self._credentials: Credentials | None = None
        self._authorization: str | None = None
        self.source = "not asked for"

    def headers(self) -> dict[str, str]:
        """The headers that are known already."""
        return {"Authorization": self._authorization} if self._authorization else {}

    def answer(self, refusal: Answer) -> bool:
        """Answer the challenge of a 401; false where nothing can be added to what was sent."""
        # Only a registry that asks makes a run pay for finding credentials.
        from .credentials import BEARER_TOKEN_USER, find_credentials

        found = _CHALLENGE.match(refusal.headers.get("WWW-Authenticate", ""))
        if found is None:
            return False
        previous = self._authorization
        self._credentials = self._credentials or find_credentials(self._settings)
        self.source = self._credentials.source if self._credentials else "none found"
        if self._credentials is not None and self._credentials.username == BEARER_TOKEN_USER:
            self._authorization = f"Bearer {self._credentials.password}"
        elif found[1].lower() == "bearer":
            # A token may have expired meanwhile, so that a second challenge is answered like the first.
            self._authorization = f"Bearer {self._token(dict(_PARAMETER.findall(found[2] or '')))}"
        elif self._credentials is not None:
            self._authorization = f"Basic {self._credentials.basic}"
        return self._authorization != previous

    def _token(self, challenge: dict[str, str]) -> str:
        realm = challenge.get("realm", "")
        scheme = urlsplit(realm).scheme
        if scheme != "https" and not (scheme == "http" and self._settings.plain_http):
            raise CmpError("registry_protocol", f"the registry's token service is not https: {realm[:200]!r}")
        fields = {name: value for name, value in challenge.items() if name in {"service", "scope"}}
        answer = self._request(realm, fields)
        if answer.status == 429 or answer.status >= _SERVER_ERROR:  # noqa: PLR2004
            text = f"the registry's token service answered {answer.status}"
            raise TransientFailure("registry_unavailable", text, answer.retry_after)
        if answer.status != _OK:
            raise CmpError(
                "unauthorized",
                f"the registry's token service refused the credentials ({answer.status}): check those of the sidecar",
                details=(f"token service: {urlsplit(realm).netloc}", f"credentials: {self.source}"),
            )
        return _read_token(answer.body)

    def _request(self, realm: str, fields: dict[str, str]) -> Answer:
        from .credentials import IDENTITY_TOKEN_USER

        credentials, headers, body = self._credentials, {"Accept": "application/json"}, None
        if credentials is not None and credentials.username == IDENTITY_TOKEN_USER:
            form = {"grant_type": "refresh_token", "client_id": "forge-cmp", "refresh_token": credentials.password}
            body = urlencode(fields | form).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            realm += ("&" if urlsplit(realm).query else "?") + urlencode(fields)
            headers |= {"Authorization": f"Basic {credentials.basic}"} if credentials is not None else {}
        return self._connections.exchange(
            "POST" if body is not None else "GET",
            realm,
            headers,
            limit=MAX_TOKEN_ANSWER,
            deadline=self._deadline,
            body=body,
        )


def _read_token(content: bytes) -> str:
    try:
        value = json.loads(content)
        token = value.get("token") or value["access_token"]
    except (ValueError, KeyError, AttributeError, TypeError):
        token = None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        # Without its cause: a parser's message may quote the token.
        raise CmpError("registry_protocol", "the registry's token service sent no token") from None
    return token
