"""The local OIDC issuer: tokens for the clients of this machine, verified by the API as those of any other issuer.

OpenID Connect Discovery 1.0, JWKS (RFC 7517) and client credentials (RFC 6749 4.4), signed with ES256.
"""

import base64
import binascii
import hmac
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from forge_cli.files import write_once

AUDIENCE = "catalyst-forge"
LIFETIME_S = 900


@dataclass(frozen=True, slots=True)
class Client:
    """Who may get tokens: `subject` and `roles` go into them, the secret stands in a file."""

    subject: str
    roles: tuple[str, ...]
    secret_file: Path


class Issuer:
    """Serves one key and a fixed set of clients."""

    def __init__(self, url: str, key_file: Path, clients: Mapping[str, Client]) -> None:
        self._url, self._clients = url, dict(clients)
        self._key = _load_or_make(key_file)
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        self._key_id = base64.urlsafe_b64encode(f"{public['x']}{public['y']}".encode()).decode()[:16]
        self._jwks = {"keys": [{**public, "kid": self._key_id, "use": "sig", "alg": "ES256"}]}

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(client_max_size=16_384)
        application.router.add_get("/.well-known/openid-configuration", self._discovery)
        application.router.add_get("/jwks", self._keys)
        application.router.add_post("/token", self._token)
        return application

    async def _discovery(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {
                "issuer": self._url,
                "jwks_uri": f"{self._url}/jwks",
                "token_endpoint": f"{self._url}/token",
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )

    async def _keys(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self._jwks)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        client = self._authenticated(request.headers.get("Authorization", ""))
        if client is None:
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response(
            {"access_token": self._signed(client), "token_type": "Bearer", "expires_in": LIFETIME_S}
        )

    def _authenticated(self, header: str) -> Client | None:
        scheme, _, encoded = header.partition(" ")
        try:
            name, _, given = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        client = self._clients.get(unquote_plus(name))
        if scheme.lower() != "basic" or client is None:
            return None
        known = client.secret_file.read_text().strip()
        return client if hmac.compare_digest(unquote_plus(given).encode(), known.encode()) else None

    def _signed(self, client: Client) -> str:
        now = int(time.time())
        claims = {
            "iss": self._url,
            "aud": AUDIENCE,
            "sub": client.subject,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_S,
            "jti": str(uuid.uuid4()),
            "roles": list(client.roles),
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})


def _load_or_make(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        fresh = ec.generate_private_key(ec.SECP256R1())
        pem = fresh.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_once(path, pem.decode())
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds no EC key: delete it, and a new one is made at the next start")
    return key
