import asyncio
import os
import signal
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from forge_dispatch import Dispatcher, DispatcherSettings
from forge_dispatch.connection import connect
from forge_sdk.configuration import Nats
from forge_sdk.errors import AuthenticationError, TransientError
from forge_servers.nats_settings import NatsSettings, NatsUser


@pytest.fixture
def server(make_nats_server):
    return make_nats_server()


@pytest.fixture
def nats_url(server):
    return server.url


async def kill(server):
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()


async def test_jobs_survive_a_killed_server(server, dispatcher, new_worker, job):
    seen = []

    async def on_result(result):
        seen.append(result)
        if len(seen) == 20:
            await kill(server)
            await server.start()

    async with new_worker(slots=4):
        jobs = [job(f"job-{number}") for number in range(100)]
        results = await asyncio.wait_for(dispatcher.run(jobs, on_result=on_result), 60)
    assert [result.status for result in results] == ["success"] * 100


async def test_jobs_are_published_when_the_server_comes_back(server, connection, dispatcher, worker, job, eventually):
    await kill(server)
    with capture_logs() as logs:
        waiting = asyncio.create_task(dispatcher.run([job("a")]))
        await eventually(lambda: any(entry["event"] == "job_publish_delayed" for entry in logs))
    assert not waiting.done()
    await server.start()
    assert (await asyncio.wait_for(waiting, 30))[0].succeeded


async def test_a_server_that_stays_away_is_an_error(server, connection, job):
    impatient = DispatcherSettings(sweep_interval_s=0.1, unreachable_limit_s=0.3, request_timeout_s=0.2)
    async with Dispatcher(connection, impatient) as dispatcher:
        await kill(server)
        with pytest.raises(TransientError, match="NATS did not answer"):
            await asyncio.wait_for(dispatcher.run([job("a")]), 10)
        await server.start()


async def test_no_server_at_the_first_connection_names_the_address(server):
    url = server.url
    server.stop_blocking()
    with pytest.raises(TransientError, match=url):
        await asyncio.wait_for(connect(Nats(url=url), f"test-{uuid4()}"), 30)


async def test_a_refused_user_is_told_which_section_to_check(make_nats_server, tmp_path):
    server = make_nats_server(settings=NatsSettings(users=(NatsUser(name="forge", password="right"),)))
    password = tmp_path / "password"
    password.write_text("wrong")
    password.chmod(0o600)
    url = f"nats://127.0.0.1:{server.port}"
    with pytest.raises(AuthenticationError, match="refused user forge: check the section nats"):
        await connect(Nats(url=url, user="forge", password_file=password), "test")
    password.write_text("right")
    connection = await connect(Nats(url=url, user="forge", password_file=password), "test")
    assert connection.is_connected
    await connection.close()
