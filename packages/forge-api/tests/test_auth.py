"""Who is let in: every route of the table against every kind of token."""

import base64
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from forge_api.auth import keys
from forge_api.auth.keys import IssuerKeys
from forge_api.auth.roles import Role
from forge_api.auth.verifier import TokenVerifier
from forge_api.web.routes import ROUTES
from forge_sdk.configuration import Identity
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError, TransientError

READ = {"developer", "approver", "operator", "service-account"}
ACCESS = {
    ("POST", "/v1/repositories"): {"operator"},
    ("GET", "/v1/repositories"): READ,
    ("POST", "/v1/runs"): {"developer"},
    ("GET", "/v1/runs"): READ,
    ("GET", "/v1/runs/{run_id}"): READ,
    ("DELETE", "/v1/runs/{run_id}"): {"developer"},
    ("POST", "/v1/runs/{run_id}/retry"): {"developer"},
    ("GET", "/v1/runs/{run_id}/events"): READ,
    ("GET", "/v1/steps/{step_id}/logs"): READ,
    ("GET", "/v1/audit"): {"operator", "approver"},
    ("GET", "/v1/internal/runs/{run_id}/stages/{stage}/jobs"): {"service-account"},
    ("POST", "/v1/internal/runs/{run_id}/results"): {"service-account"},
    ("GET", "/v1/releases/{owner}/{name}/{project}"): READ,
    ("GET", "/v1/releases/{owner}/{name}/{project}/{release}"): READ,
    ("POST", "/v1/releases"): {"developer"},
    ("POST", "/v1/releases/{owner}/{name}/{project}/{release}/retry"): {"developer"},
    ("POST", "/v1/releases/{owner}/{name}/{project}/{release}/give-up"): {"developer"},
    ("GET", "/v1/environments/{environment}/deployments"): READ,
    ("GET", "/v1/holds"): READ,
    ("DELETE", "/v1/holds/{environment}/{owner}/{name}/{project}"): {"developer", "operator"},
    ("POST", "/v1/deployments"): {"developer"},
    ("GET", "/v1/deployments/{environment}/{owner}/{name}/{project}"): READ,
    ("GET", "/v1/environments"): READ,
    ("GET", "/v1/plugins"): READ,
    ("POST", "/v1/internal/statuses"): {"service-account"},
    ("PUT", "/v1/tasks/{task_id}/status"): {"service-account"},
    ("PUT", "/v1/steps/{step_id}/status"): {"service-account"},
    ("PUT", "/v1/internal/leases"): {"service-account"},
    ("PUT", "/v1/internal/attempts/{release_id}/publications"): {"service-account"},
    ("PUT", "/v1/internal/attempts/{release_id}/state"): {"service-account"},
    ("PUT", "/v1/internal/plugins/{service}"): {"service-account"},
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): None,
    ("GET", "/v1/openapi.json"): None,
}
"""Which roles may use which route; nothing means that no token is needed."""
PROTECTED = [route for route, roles in ACCESS.items() if roles is not None]
VARIABLES = {
    "run_id": "01900000-0000-7000-8000-000000000000",
    "step_id": "01900000-0000-7000-8000-000000000000",
    "task_id": "01900000-0000-7000-8000-000000000000",
    "release_id": "01900000-0000-7000-8000-000000000000",
    "owner": "acme",
    "name": "shop",
    "project": "api",
    "release": "1",
    "environment": "dev",
    "service": "worker",
    "stage": "discovery",
}


async def statuses(http, headers, routes=PROTECTED):
    found = {}
    for method, path in routes:
        async with http.request(method, path.format(**VARIABLES), headers=headers, allow_redirects=False) as answer:
            body = await answer.json() if answer.content_type == "application/json" else {}
            found[(method, path)] = (answer.status, (body.get("error") or {}).get("code"))
    return found


def test_the_table_states_every_route():
    roles = {(route.method, route.path): route.roles for route in ROUTES}
    assert roles == ACCESS


async def test_public_routes_need_no_token(http):
    public = [route for route in ACCESS if route not in PROTECTED]
    assert {status for status, _ in (await statuses(http, {}, public)).values()} == {200}


@pytest.mark.parametrize("role", [*(role.value for role in Role), "administrator"])
async def test_each_role_may_use_what_the_table_says(http, bearer, role):
    for route, (status, code) in (await statuses(http, bearer(role))).items():
        allowed = role in ACCESS[route]
        assert (status != 403) is allowed, (route, role)
        assert (code != "permission_denied") is allowed
        assert status != 401


def part(value):
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def signing_input(issuer, algorithm):
    claims = jwt.decode(issuer.token(*READ), options={"verify_signature": False})
    header = {"alg": algorithm, "typ": "JWT", "kid": issuer.key_id}
    return f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"


def unsigned(issuer):
    return signing_input(issuer, "none") + "."


def shared_secret(issuer):
    """The classic confusion: the public key, which everybody has, used as the secret of HS256."""
    public = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = signing_input(issuer, "HS256")
    return f"{text}.{part(hmac.digest(public, text.encode(), 'sha256'))}"


BAD_TOKENS = {
    "expired": lambda issuer, _: issuer.token(*READ, exp=int(time.time()) - 1),
    "not yet valid": lambda issuer, _: issuer.token(*READ, nbf=int(time.time()) + 60),
    "without expiry": lambda issuer, _: issuer.token(*READ, exp=None),
    "without subject": lambda issuer, _: issuer.token(*READ, sub=None),
    "empty subject": lambda issuer, _: issuer.token(*READ, sub=""),
    "foreign issuer": lambda issuer, _: issuer.token(*READ, iss="https://issuer.example"),
    "foreign audience": lambda issuer, _: issuer.token(*READ, aud="another-service"),
    "without audience": lambda issuer, _: issuer.token(*READ, aud=None),
    "signed by another key": lambda issuer, _: issuer.token(*READ, key=ec.generate_private_key(ec.SECP256R1())),
    "unknown key id": lambda issuer, _: issuer.token(*READ, headers={"kid": "unknown"}),
    "another algorithm": lambda issuer, rsa_key: issuer.token(*READ, key=rsa_key, algorithm="RS256"),
    "algorithm none": lambda issuer, _: unsigned(issuer),
    "algorithm HS256": lambda issuer, _: shared_secret(issuer),
    "cut off": lambda issuer, _: issuer.token(*READ)[:-4],
    "no token": lambda *_: "x.y.z",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_bad_token_opens_no_route(http, issuer, foreign_rsa_key, kind):
    token = BAD_TOKENS[kind](issuer, foreign_rsa_key)
    found = await statuses(http, {"Authorization": f"Bearer {token}"})
    assert set(found.values()) == {(401, "authentication_required")}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}])
async def test_without_a_token_no_route_opens(http, header):
    assert set((await statuses(http, header)).values()) == {(401, "authentication_required")}


async def test_a_refusal_says_what_is_asked_for_and_shows_no_token(http, issuer):
    token = issuer.token("developer", exp=1)
    answer = await http.get("/v1/runs", headers={"Authorization": f"Bearer {token}"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "log in again" in await answer.text()
    assert token not in await answer.text()


async def test_keys_are_fetched_again_when_they_rotate(issuer):
    now = [100.0]
    source = IssuerKeys(issuer.url, clock=lambda: now[0])
    verifier = TokenVerifier(Identity(issuer=issuer.url), source)
    await verifier.verify(issuer.token("developer"))
    issuer.rotate()
    now[0] += keys.MIN_INTERVAL_S
    assert (await verifier.verify(issuer.token("developer"))).roles == {Role.DEVELOPER}
    assert issuer.requests == 2
    await verifier.close()


async def test_strangers_key_ids_do_not_make_the_api_fetch(issuer):
    verifier = TokenVerifier(Identity(issuer=issuer.url))
    await verifier.verify(issuer.token("developer"))
    for number in range(20):
        with pytest.raises(PlatformError):
            await verifier.verify(issuer.token("developer", headers={"kid": f"stranger-{number}"}))
    assert issuer.requests == 1
    await verifier.close()


async def test_known_keys_serve_while_the_issuer_is_down(issuer):
    now = [100.0]
    verifier = TokenVerifier(Identity(issuer=issuer.url), IssuerKeys(issuer.url, clock=lambda: now[0]))
    token = issuer.token("developer")
    await verifier.verify(token)
    issuer.down = True
    now[0] += keys.MAX_AGE_S + 1
    assert (await verifier.verify(token)).subject == "alice"
    await verifier.close()


async def test_an_issuer_that_never_answered_is_unavailable_not_refused(issuer):
    issuer.down = True
    verifier = TokenVerifier(Identity(issuer=issuer.url))
    with pytest.raises(TransientError) as failure:
        await verifier.verify(issuer.token("developer"))
    assert failure.value.code is ErrorCode.UNAVAILABLE
    await verifier.close()


def test_a_plain_http_issuer_is_accepted_on_loopback_only():
    with pytest.raises(ConfigurationError, match="must be https"):
        IssuerKeys("http://issuer.example")
    IssuerKeys("http://127.0.0.1:8080")


async def test_roles_may_stand_deeper_in_the_token(issuer):
    verifier = TokenVerifier(Identity(issuer=issuer.url, roles_claim="realm_access.roles"))
    principal = await verifier.verify(issuer.token(realm_access={"roles": ["operator", "offline_access"]}))
    assert principal.roles == {Role.OPERATOR}
    await verifier.close()


async def test_only_a_verified_mail_address_names_the_caller(issuer):
    verifier = TokenVerifier(Identity(issuer=issuer.url))
    mail = "alice@example.com"
    assert (await verifier.verify(issuer.token(email=mail, email_verified=True))).name == mail
    assert (await verifier.verify(issuer.token(email=mail))).name == "alice"
    await verifier.close()
