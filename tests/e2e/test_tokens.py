"""No endpoint answers without a token that this platform's issuer signed for it, for now."""

import json
import re
import time
import urllib.error
import urllib.request
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

OPEN = {"/healthz", "/readyz", "/metrics", "/v1/openapi.json"}


@pytest.fixture(scope="module")
def routes(platform):
    with urllib.request.urlopen(f"{platform.api}/v1/openapi.json", timeout=10) as answer:
        paths = json.load(answer)["paths"]
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods if path not in OPEN]
    assert len(found) > 10
    return found


@pytest.fixture(scope="module")
def sign(platform):
    key = serialization.load_pem_private_key((platform.home / "keys" / "issuer.key").read_bytes(), password=None)
    issuer = f"http://127.0.0.1:{platform.ports['issuer']}"
    with urllib.request.urlopen(f"{issuer}/jwks", timeout=10) as answer:
        key_id = json.load(answer)["keys"][0]["kid"]

    def make(signing_key=key, algorithm: str = "ES256", **changes) -> str:
        now = int(time.time())
        claims = {"iss": issuer, "aud": "catalyst-forge", "sub": "test", "iat": now, "nbf": now, "exp": now + 300}
        claims |= {
            "jti": str(uuid.uuid4()),
            "roles": ["developer", "operator", "approver", "service-account"],
            **changes,
        }
        return jwt.encode(claims, signing_key, algorithm=algorithm, headers={"kid": key_id})

    return make


def status(platform, method: str, path: str, token: str | None) -> int:
    filled = platform.api + re.sub(r"\{[^}]*\}", str(uuid.UUID(int=0)), path)
    headers = {
        "Content-Type": "application/json",
        **({"Authorization": f"Bearer {token}"} if token is not None else {}),
    }
    body = b"{}" if method in {"POST", "PUT"} else None
    try:
        with urllib.request.urlopen(
            urllib.request.Request(filled, method=method, headers=headers, data=body), timeout=10
        ) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def refused_everywhere(platform, routes, token: str | None) -> list[tuple[str, str, int]]:
    answers = [(method, path, status(platform, method, path, token)) for method, path in routes]
    return [answer for answer in answers if answer[2] != 401]


def test_a_good_token_gets_in(platform, sign):
    assert status(platform, "GET", "/v1/runs", sign()) == 200


def test_unauthenticated(platform, routes):
    assert refused_everywhere(platform, routes, None) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_700_000_000},
        {"nbf": 4_000_000_000},
        {"iss": "https://issuer.example.com"},
        {"aud": "something-else"},
        {"sub": None},
    ],
    ids=["expired", "not-yet-valid", "foreign-issuer", "foreign-audience", "no-subject"],
)
def test_token_that_is_not_for_here_and_now(platform, routes, sign, changes):
    claims = {name: value for name, value in changes.items() if value is not None}
    token = sign(**claims) if claims else sign(sub="")
    assert refused_everywhere(platform, routes, token) == []


def test_wrongly_signed(platform, routes, sign):
    assert refused_everywhere(platform, routes, sign(signing_key=ec.generate_private_key(ec.SECP256R1()))) == []


def test_unsigned_and_symmetric(platform, routes, sign):
    unsigned = sign(signing_key=None, algorithm="none")
    symmetric = sign(signing_key="a-shared-secret-that-is-long-enough!", algorithm="HS256")
    assert refused_everywhere(platform, routes, unsigned) == []
    assert refused_everywhere(platform, routes, symmetric) == []


def test_tampered(platform, routes, sign):
    header, payload, signature = sign().split(".")
    assert refused_everywhere(platform, routes, f"{header}.{payload[:-4]}AAAA.{signature}") == []


def test_internal_endpoints_are_not_for_developers(platform, routes, sign):
    token = sign(roles=["developer"])
    answers = {
        path: status(platform, method, path, token) for method, path in routes if path.startswith("/v1/internal/")
    }
    assert answers
    assert set(answers.values()) == {403}
