"""Verifies bearer tokens: JSON Web Tokens (RFC 7519) of the configured OIDC issuer."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from forge_api.auth.keys import IssuerKeys, KeySource
from forge_api.auth.roles import Principal, Role
from forge_sdk.configuration import Identity
from forge_sdk.errors import AuthenticationError, ErrorCode

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones only: a public key must never be usable as a shared secret."""
KEY_TYPES = {"RSA", "EC", "OKP"}
MAX_TOKEN = 16_384
MAX_SUBJECT = 255


KEPT_S = 30.0
"""How long a verified token is not verified again; a key that the issuer takes back is refused after this at the latest."""
MAX_KNOWN = 1000


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    until: float


class TokenVerifier:
    """Turns a token into who it is of. Every failure is `authentication_required`, except that the issuer is away."""

    def __init__(self, identity: Identity, keys: KeySource | None = None) -> None:
        self._identity = identity
        self._keys = keys or IssuerKeys(identity.issuer)
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """The principal of a token whose signature, issuer, audience, times and subject are right."""
        if len(token) > MAX_TOKEN:
            raise _refused("the token is too long")
        known = self._known.get(token)
        if known is not None and known.until > time.time():
            return known.principal
        principal, expires_at = await self._decoded(token)
        self._remember(token, _Known(principal, min(expires_at, time.time() + KEPT_S)))
        return principal

    async def _decoded(self, token: str) -> tuple[Principal, float]:
        key = await self._key(token)
        try:
            claims = jwt.decode(
                token,
                key=key,
                algorithms=list(ALGORITHMS),
                audience=self._identity.audience,
                issuer=self._identity.issuer,
                leeway=self._identity.leeway_s,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise _refused("the token has expired: log in again") from error
        except jwt.PyJWTError as error:
            raise _refused("the token is not valid here") from error
        return self._principal(claims), float(claims["exp"]) + self._identity.leeway_s

    def _remember(self, token: str, known: "_Known") -> None:
        self._known[token] = known
        self._known.move_to_end(token)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def close(self) -> None:
        """Release what the source of keys holds."""
        await self._keys.close()

    async def _key(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise _refused("the token can't be read") from error
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(key_id, str | None):
            raise _refused("the token is signed in a way that is not accepted")
        found = await self._keys.find(key_id)
        if found is None or found.get("kty") not in KEY_TYPES or found.get("alg", algorithm) != algorithm:
            raise _refused("the token is signed with a key that the issuer does not have")
        try:
            return jwt.PyJWK(dict(found), algorithm)
        except jwt.PyJWTError as error:
            raise _refused("the token's algorithm does not fit the issuer's key") from error

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise _refused("the token's subject can't be used")
        mail = claims.get("email") if claims.get("email_verified") is True else None
        name = mail if isinstance(mail, str) and len(mail) <= MAX_SUBJECT and mail.isprintable() else subject
        return Principal(subject, name, self._roles(claims))

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        found: Any = claims
        for part in self._identity.roles_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        names = found if isinstance(found, list) else []
        return frozenset(role for role in Role if role.value in names)


def bearer_token(header: str | None) -> str:
    """The token of an `Authorization` header."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _refused("a bearer token is needed: log in")
    return token.strip()


def _refused(message: str) -> AuthenticationError:
    return AuthenticationError(message, code=ErrorCode.AUTHENTICATION_REQUIRED, component="api")
