"""The connection that services keep, and requests on it, against a real server."""

import asyncio

import nats.errors
import pytest

from forge_sdk.configuration import Nats
from forge_sdk.errors import AuthenticationError, ConfigurationError, TransientError
from forge_sdk.nats_connection import connect, leader_bucket
from forge_sdk.nats_requests import Requests
from forge_servers import NatsSettings, NatsUser

BUCKET = "entries"


@pytest.fixture
async def connection(nats_server):
    client = await connect(Nats(url=nats_server.url), "test", component="test", patience_s=10)
    yield client
    await client.close()


@pytest.fixture
async def requests(connection):
    return Requests(connection, 5.0)


async def test_a_server_that_is_not_there_is_named(make_nats_server):
    server = make_nats_server()
    url = server.url
    server.stop_blocking()
    with pytest.raises(TransientError, match=url) as caught:
        await connect(Nats(url=url), "test", component="dispatch", patience_s=0.2)
    assert caught.value.component == "dispatch"


async def test_a_refused_user_is_told_at_once(make_nats_server, tmp_path):
    server = make_nats_server(settings=NatsSettings(users=(NatsUser(name="forge", password="right"),)))
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("wrong")
    settings = Nats(url=server.bare_url, user="forge", password_file=password)
    with pytest.raises(AuthenticationError, match="refused user forge"):
        await connect(settings, "test", component="worker", patience_s=60)


async def test_certificates_that_are_not_there_are_named(tmp_path):
    settings = Nats(url="nats://127.0.0.1:1", ca_file=tmp_path / "none.pem")
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        await connect(settings, "test", component="worker", patience_s=1)


async def test_many_requests_get_their_own_answers(connection, requests):
    async def echo(message):
        await message.respond(message.data)

    await connection.subscribe("echo", cb=echo)
    answers = await asyncio.gather(*(requests.send("echo", str(number).encode()) for number in range(100)))
    assert [answer.data for answer in answers] == [str(number).encode() for number in range(100)]


async def test_nobody_there_and_nobody_answers_are_errors(connection):
    async def silent(message):
        """Never answers."""

    await connection.subscribe("silent", cb=silent)
    requests = Requests(connection, 0.05)
    with pytest.raises(nats.errors.NoRespondersError):
        await requests.send("nobody", b"")
    with pytest.raises(nats.errors.TimeoutError):
        await requests.send("silent", b"")


async def test_an_entry_is_written_over_the_last_revision_only(connection, requests):
    await connection.jetstream().create_key_value(bucket=BUCKET)
    first = await requests.compare_and_set(BUCKET, "key", b"one", 0)
    assert await requests.compare_and_set(BUCKET, "key", b"another", 0) is None
    second = await requests.compare_and_set(BUCKET, "key", b"two", first)
    assert await requests.compare_and_set(BUCKET, "key", b"another", first) is None
    found = await leader_bucket(connection.jetstream(), BUCKET).get("key")
    assert (found.value, found.revision) == (b"two", second)
