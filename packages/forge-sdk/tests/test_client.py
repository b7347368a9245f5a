import asyncio
import uuid

import pytest
from aiohttp import web

from forge_sdk.client import ApiClient, ClientCredentialsTokens, StaticToken
from forge_sdk.errors import AuthenticationError, PlatformError, TransientError
from forge_sdk.models.api import CreateRun
from forge_sdk.retry import RetryPolicy
from forge_sdk.secrets import Secret

FAST = RetryPolicy(attempts=3, base_delay=0.001, max_delay=0.002, jitter=0)
RUN = {
    "id": str(uuid.uuid4()),
    "repository": "acme/shop",
    "commit_sha": "a" * 40,
    "attempt": 1,
    "status": "pending",
    "trigger_type": "manual",
    "triggered_by": "alice",
    "created_at": "2026-01-01T00:00:00Z",
}
BODY = CreateRun(repository="acme/shop", commit_sha="a" * 40)


class Platform:
    """Answers `POST /v1/runs` with what the test prepared, then with a run."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.tokens_given = 0
        self.seen: list[web.Request] = []

    async def create_run(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        await request.read()
        return self.answers.pop(0) if self.answers else web.json_response(RUN, status=201)

    async def token(self, request: web.Request) -> web.Response:
        self.tokens_given += 1
        known = request.headers["Authorization"] == "Basic Y2xpZW50OnNlY3JldA=="
        return web.json_response(
            {"access_token": f"token-{self.tokens_given}", "expires_in": 600}, status=200 if known else 401
        )


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
async def url(platform, aiohttp_server):
    application = web.Application()
    application.router.add_post("/v1/runs", platform.create_run)
    application.router.add_post("/token", platform.token)
    server = await aiohttp_server(application)
    return str(server.make_url("")).rstrip("/")


async def create(url: str, tokens=None):
    async with ApiClient(url, tokens or StaticToken(Secret("t0ken")), retry=FAST) as client:
        return await client.create_run(BODY)


def error(status: int, code: str, message: str = "no") -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


async def test_answer_is_typed_and_the_token_is_sent(platform, url):
    assert (await create(url)).repository == "acme/shop"
    assert platform.seen[0].headers["Authorization"] == "Bearer t0ken"


async def test_passing_failures_are_repeated(platform, url):
    platform.answers = [error(503, "unavailable"), error(429, "rate_limited")]
    assert (await create(url)).attempt == 1
    assert len(platform.seen) == 3


async def test_a_repeated_call_carries_one_key_and_another_call_its_own(platform, url):
    platform.answers = [error(503, "unavailable")]
    await create(url)
    await create(url)
    first, repeated, other = [request.headers["Idempotency-Key"] for request in platform.seen]
    assert first == repeated != other


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "authentication_required", AuthenticationError),
        (403, "permission_denied", AuthenticationError),
        (422, "validation_error", PlatformError),
    ],
)
async def test_lasting_failures_keep_their_code_and_are_not_repeated(platform, url, status, code, kind):
    platform.answers = [error(status, code, "said so")]
    with pytest.raises(kind, match="said so") as caught:
        await create(url)
    assert caught.value.code == code
    assert len(platform.seen) == 1


async def test_answer_of_something_else_is_no_crash(platform, url):
    platform.answers = [web.Response(text="<html>proxy</html>", status=404)]
    with pytest.raises(PlatformError, match="answered 404"):
        await create(url)
    platform.answers = [web.json_response({"id": 1})]
    with pytest.raises(PlatformError, match="does not fit RunSummary"):
        await create(url)


async def test_platform_that_is_down_is_named():
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9"):
        await create("http://127.0.0.1:9")


async def test_service_token_is_fetched_once_and_again_when_refused(platform, url):
    tokens = ClientCredentialsTokens(f"{url}/token", "client", lambda: Secret("secret"))
    async with ApiClient(url, tokens, retry=FAST) as client:
        await asyncio.gather(*(client.create_run(BODY) for _ in range(5)))
        assert platform.tokens_given == 1
        platform.answers = [error(401, "authentication_required")]
        with pytest.raises(AuthenticationError):
            await client.create_run(BODY)
        await client.create_run(BODY)
    assert platform.tokens_given == 2


async def test_wrong_client_secret_names_the_client_and_not_the_secret(url):
    tokens = ClientCredentialsTokens(f"{url}/token", "client", lambda: Secret("wr0ng-secret"))
    with pytest.raises(AuthenticationError, match="'client'") as caught:
        await create(url, tokens)
    assert "wr0ng-secret" not in str(caught.value.to_detail())


async def test_an_error_names_the_trace_of_its_request(platform, url):
    answer = {
        "error": {"code": "internal_error", "message": "it failed", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    }
    platform.answers = [web.json_response(answer, status=500) for _ in range(FAST.attempts)]
    async with ApiClient(url, StaticToken(Secret("token")), retry=FAST) as client:
        with pytest.raises(TransientError, match="it failed") as caught:
            await client.create_run(BODY)
    assert caught.value.to_detail().trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
