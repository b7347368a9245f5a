import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import nats
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.js.api import StreamConfig

from forge_servers import NatsCluster, NatsServer, NatsSettings, NatsTls, NatsUser, ServerError, free_port
from forge_servers.nats_settings import configuration
from forge_servers.programs import nats_program

USERS = (
    NatsUser(name="api", password="p:/@ä1"),
    NatsUser(name="worker", password="pw2", publish=("ok.>",), subscribe=("_INBOX_w.>",)),
    NatsUser(name="mute", password="pw3", publish=()),
    NatsUser(name="answerer", password="pw4", publish=(), allow_responses=True),
)


@pytest.fixture
def server(make_nats_server):
    return make_nats_server(settings=NatsSettings(users=USERS))


async def connect(url, **options):
    errors = []

    async def note(error):
        errors.append(error)

    return await nats.connect(url, error_cb=note, allow_reconnect=False, **options), errors


async def test_acknowledged_messages_survive_a_kill(make_nats_server):
    server = make_nats_server()
    client, _ = await connect(server.url)
    await client.jetstream().add_stream(StreamConfig(name="S", subjects=["s.*"]))
    for number in range(100):
        await client.jetstream().publish("s.a", str(number).encode())
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    await client.close()
    await server.start()
    client, _ = await connect(server.url)
    assert (await client.jetstream().stream_info("S")).state.messages == 100
    await client.close()


async def test_the_first_user_may_do_everything_and_any_password_is_taken(server):
    client, errors = await connect(server.bare_url, user="api", password=USERS[0].password)
    await client.jetstream().add_stream(StreamConfig(name="S", subjects=["s"]))
    assert (await client.jetstream().publish("s", b"x")).seq == 1
    await client.close()
    assert errors == []


def test_credentials_are_encoded_in_the_url(server):
    assert server.url == f"nats://api:p%3A%2F%40%C3%A41@127.0.0.1:{server.port}"


def test_a_stranger_is_refused(server):
    with socket.create_connection((server.host, server.port), timeout=5) as stranger, stranger.makefile("rwb") as lines:
        assert lines.readline().startswith(b"INFO ")
        lines.write(b"CONNECT {}\r\nPING\r\n")
        lines.flush()
        assert lines.readline() == b"-ERR 'Authorization Violation'\r\n"


@pytest.mark.parametrize(("user", "subject"), [("worker", "other"), ("mute", "ok.a")])
async def test_a_user_publishes_only_where_it_is_allowed(server, user, subject, wait_until):
    client, errors = await connect(server.url_for(user))
    await client.publish(subject, b"x")
    await client.flush()
    await asyncio.to_thread(wait_until, lambda: len(errors) > 0)
    assert f'permissions violation for publish to "{subject}"' in str(errors[0]).lower()
    await client.close()


async def test_a_user_publishes_where_it_is_allowed(server):
    listener, _ = await connect(server.bare_url, user="api", password=USERS[0].password)
    subscription = await listener.subscribe("ok.a")
    await listener.flush()
    client, _ = await connect(server.url_for("worker"))
    await client.publish("ok.a", b"x")
    assert (await subscription.next_msg(timeout=5)).data == b"x"
    await client.close()
    await listener.close()


async def test_a_user_that_may_only_respond_responds(server):
    answerer, _ = await connect(server.url_for("answerer"))

    async def answer(message):
        await message.respond(b"pong")

    await answerer.subscribe("ping", cb=answer)
    await answerer.flush()
    client, _ = await connect(server.bare_url, user="api", password=USERS[0].password)
    assert (await client.request("ping", b"", timeout=5)).data == b"pong"
    await client.close()
    await answerer.close()


async def test_a_message_above_the_limit_is_refused(make_nats_server):
    server = make_nats_server(settings=NatsSettings(maximum_payload=1000))
    client, _ = await connect(server.url)
    with pytest.raises(nats.errors.MaxPayloadError):
        await client.publish("s", b"x" * 1001)
    await client.close()


async def test_clients_must_show_a_certificate_where_an_authority_is_set(make_nats_server, certificates):
    tls = NatsTls(certificate=certificates / "s.crt", key=certificates / "s.key", authority=certificates / "ca.crt")
    server = make_nats_server(settings=NatsSettings(tls=tls))
    assert server.url.startswith("tls://")
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    context.load_cert_chain(certificates / "s.crt", certificates / "s.key")
    client, _ = await connect(server.url, tls=context)
    assert client.is_connected
    await client.close()


def test_three_servers_form_a_cluster(server_directory, wait_until):
    route_ports: set[int] = set()
    while len(route_ports) < 3:
        route_ports.add(free_port())
    routes = tuple(f"nats-route://127.0.0.1:{port}" for port in route_ports)
    servers = [
        NatsServer(
            server_directory("cluster"),
            settings=NatsSettings(server_name=f"n{port}", cluster=NatsCluster(name="c", port=port, routes=routes)),
        )
        for port in route_ports
    ]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        for server in servers:
            stack.callback(server.stop_blocking)
        # One alone is not ready: JetStream waits for its peers.
        list(pool.map(lambda server: server.start_blocking(), servers))

        def leader():
            with urllib.request.urlopen(f"{servers[0].monitoring_url}/jsz", timeout=5) as answer:
                return json.load(answer).get("meta_cluster", {}).get("leader")

        wait_until(lambda: leader() in {f"n{port}" for port in route_ports})


def test_the_configuration_with_the_passwords_is_only_for_the_owner(server):
    assert (server.directory / "nats.conf").stat().st_mode & 0o777 == 0o600
    assert all("pw2" not in repr(user) for user in USERS)


def test_an_unknown_user_has_no_url(server):
    with pytest.raises(ServerError, match="no user 'nobody'"):
        server.url_for("nobody")


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_password_is_written_so_that_the_server_reads_it_or_is_refused(tmp_path_factory, password):
    folder = tmp_path_factory.mktemp("conf")
    settings_ = NatsSettings(users=(NatsUser(name="u", password=password),))
    try:
        text = configuration(settings_, listen="127.0.0.1:4222", monitoring="127.0.0.1:8222", store=folder)
    except ServerError:
        assert not password.isprintable()
        return
    (folder / "nats.conf").write_text(text)
    checked = subprocess.run([nats_program(), "-c", folder / "nats.conf", "-t"], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


async def test_a_server_that_hangs_does_not_answer(directory):
    async with NatsServer(directory) as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert await server.problem() == "it does not answer: timed out"
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert await server.problem() is None
