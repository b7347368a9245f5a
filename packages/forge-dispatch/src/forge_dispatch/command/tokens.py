"""The dispatcher's token for the API."""

import base64
import time
from urllib.parse import quote_plus, urlencode

from forge_dispatch.command.http import request
from forge_dispatch.command.settings import ApiAccess
from forge_dispatch.failures import COMPONENT
from forge_sdk.errors import AuthenticationError, ErrorCode
from forge_sdk.secret_files import read_secret_file
from forge_sdk.secrets import Secret

MARGIN_S = 30.0


class Tokens:
    """Tokens from a file, read each time since it is renewed there, or of the issuer (client credentials, RFC 6749 4.4)."""

    def __init__(self, access: ApiAccess) -> None:
        self._access = access
        self._token: Secret | None = None
        self._expires = 0.0

    async def token(self) -> Secret:
        """A token that is valid now. `AuthenticationError` where the issuer refuses, `TransientError` where it is away."""
        if self._access.token_file is not None:
            return read_secret_file(self._access.token_file)
        if self._token is None or time.monotonic() >= self._expires:
            self._token = await self._fetch()
        return self._token

    def discard(self) -> None:
        """Forget the token: it was refused."""
        self._token = None

    async def _fetch(self) -> Secret:
        access = self._access
        if access.token_url is None or access.client_id is None or access.client_secret_file is None:
            raise RuntimeError("the settings have either")
        secret = read_secret_file(access.client_secret_file).reveal()
        pair = f"{quote_plus(access.client_id)}:{quote_plus(secret)}"
        answer = await request(
            "POST",
            access.token_url,
            body=urlencode({"grant_type": "client_credentials"}).encode(),
            headers={
                "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            ca_file=access.ca_file,
        )
        values = answer.json()
        if answer.status != 200 or not isinstance(values, dict) or not isinstance(values.get("access_token"), str):  # noqa: PLR2004
            raise AuthenticationError(
                f"the issuer refused client {access.client_id!r} ({answer.status}): check its secret",
                code=ErrorCode.AUTHENTICATION_REQUIRED,
                component=COMPONENT,
            )
        lifetime = values.get("expires_in")
        self._expires = time.monotonic() + float(lifetime if isinstance(lifetime, int | float) else 60) - MARGIN_S
        return Secret(str(values["access_token"]))
