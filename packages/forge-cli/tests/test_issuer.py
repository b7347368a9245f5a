import aiohttp
import jwt
import pytest
from aiohttp import web

from forge_cli.files import secret_once
from forge_cli.up.issuer import AUDIENCE, Client, Issuer
from forge_sdk.client import ClientCredentialsTokens
from forge_sdk.errors import AuthenticationError
from forge_sdk.secrets import Secret


@pytest.fixture
async def issuer(tmp_path):
    client = Client("service:worker", ("service-account",), tmp_path / "worker.secret")
    secret_once(client.secret_file)
    runner = web.AppRunner(Issuer("http://issuer", tmp_path / "issuer.key", {"worker": client}).application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", client
    await runner.cleanup()


async def test_token_is_signed_by_the_published_key(issuer):
    url, client = issuer
    async with aiohttp.ClientSession() as session:
        token = await ClientCredentialsTokens(
            f"{url}/token", "worker", lambda: Secret(client.secret_file.read_text())
        ).token(session)
        async with session.get(f"{url}/jwks") as answer:
            key = jwt.PyJWK((await answer.json())["keys"][0])
    claims = jwt.decode(token.reveal(), key, algorithms=["ES256"], audience=AUDIENCE, issuer="http://issuer")
    assert (claims["sub"], claims["roles"]) == ("service:worker", ["service-account"])


@pytest.mark.parametrize(("name", "secret"), [("worker", "wrong"), ("nobody", "x")])
async def test_wrong_clients_get_no_token(issuer, name, secret):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(AuthenticationError):
            await ClientCredentialsTokens(f"{issuer[0]}/token", name, lambda: Secret(secret)).token(session)


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer abc", "Basic d29ya2Vy"])
async def test_strange_credentials_are_refused_without_a_crash(issuer, header):
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{issuer[0]}/token", data={"grant_type": "client_credentials"}, headers={"Authorization": header}
        ) as answer,
    ):
        assert answer.status == 401


def test_key_is_kept(tmp_path):
    first = Issuer("http://issuer", tmp_path / "key", {})
    second = Issuer("http://issuer", tmp_path / "key", {})
    assert first._jwks == second._jwks
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
