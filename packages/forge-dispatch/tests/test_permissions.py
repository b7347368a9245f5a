"""Each service may do on NATS what it needs, and nothing else; a real server says so."""

import asyncio
from contextlib import AsyncExitStack

import nats
import nats.errors
import nats.js.errors
import pytest

from forge_dispatch import Dispatcher
from forge_dispatch.connection import connect
from forge_dispatch.streams import apply_definitions
from forge_sdk.configuration import Nats
from forge_sdk.messaging import CI, QUEUES, cancel_key
from forge_sdk.nats_permissions import PERMISSIONS
from forge_servers import NatsSettings, NatsUser

PASSWORD = "correct-horse"
JOB = "6f1c2f0e-5a0c-5b7e-9f57-7a2b6f5f9d10"
REFUSED_PUBLISH = [
    ("worker", f"pipeline.tasks.{JOB}"),
    ("worker", f"pipeline.releases.{JOB}"),
    ("worker", f"$KV.forge-control.cancel.{JOB}"),
    ("worker", "forge.events.run.finished"),
    ("worker", "$JS.API.STREAM.DELETE.pipeline-tasks"),
    ("worker", "$JS.API.STREAM.PURGE.pipeline-tasks"),
    ("worker", "$JS.API.STREAM.UPDATE.pipeline-tasks"),
    ("worker", "$JS.API.CONSUMER.CREATE.pipeline-tasks.another"),
    ("worker", "$JS.API.CONSUMER.DELETE.pipeline-tasks.ci-consumer"),
    ("worker", "$JS.API.STREAM.MSG.GET.pipeline-tasks"),
    ("worker", "$JS.API.STREAM.MSG.DELETE.KV_forge-jobs"),
    ("dispatcher", "$JS.API.CONSUMER.MSG.NEXT.pipeline-tasks.ci-consumer"),
    ("dispatcher", "$JS.ACK.pipeline-tasks.ci-consumer.1.1.1.1.0"),
    ("dispatcher", "$JS.API.STREAM.CREATE.pipeline-tasks"),
    ("dispatcher", "$JS.API.STREAM.DELETE.pipeline-tasks"),
    ("dispatcher", "$JS.API.STREAM.PURGE.KV_forge-jobs"),
    ("dispatcher", "forge.events.run.finished"),
    ("dispatcher", "forge.logs.run.step"),
    ("dispatcher", "_INBOX_worker.x"),
    ("api", "$JS.API.CONSUMER.MSG.NEXT.pipeline-tasks.ci-consumer"),
    ("api", "$JS.ACK.pipeline-tasks.ci-consumer.1.1.1.1.0"),
    ("api", "$JS.API.STREAM.DELETE.pipeline-tasks"),
    ("api", "$JS.API.STREAM.CREATE.another"),
    ("api", "forge.logs.run.step"),
    ("api", "_INBOX_worker.x"),
]
REFUSED_SUBSCRIBE = [
    ("worker", ">"),
    ("worker", "_INBOX_api.>"),
    ("worker", "_INBOX_dispatcher.>"),
    ("worker", "pipeline.tasks.>"),
    ("worker", "$KV.forge-jobs.>"),
    ("worker", "forge.logs.>"),
    ("dispatcher", ">"),
    ("dispatcher", "_INBOX_api.>"),
    ("dispatcher", "_INBOX_worker.>"),
    ("dispatcher", "pipeline.tasks.>"),
    ("dispatcher", "$KV.forge-jobs.>"),
    ("api", ">"),
    ("api", "_INBOX_worker.>"),
    ("api", "_INBOX_dispatcher.>"),
    ("api", "$KV.forge-jobs.>"),
]


@pytest.fixture
def server(make_nats_server):
    users = tuple(
        NatsUser(name=name, password=PASSWORD, publish=found.publish, subscribe=found.subscribe)
        for name, found in PERMISSIONS.items()
    )
    return make_nats_server(settings=NatsSettings(users=users))


@pytest.fixture
def settings_for(server, tmp_path):
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(PASSWORD)

    def make(service):
        return Nats(
            url=server.bare_url,
            user=service,
            password_file=password,
            inbox_prefix=PERMISSIONS[service].inbox_prefix,
            ack_wait_s=1,
        )

    return make


@pytest.fixture
async def raw(server):
    """Connections of services that note what the server refuses: `client, refusals = await raw("worker")`."""
    async with AsyncExitStack() as stack:

        async def make(service):
            refusals = []

            async def note(error):
                refusals.append(str(error).lower())

            client = await nats.connect(
                server.bare_url,
                user=service,
                password=PASSWORD,
                inbox_prefix=PERMISSIONS[service].inbox_prefix.encode(),
                error_cb=note,
            )
            stack.push_async_callback(client.close)
            return client, refusals

        yield make


@pytest.mark.parametrize(("service", "subject"), REFUSED_PUBLISH)
async def test_refused_to_publish(raw, service, subject, eventually):
    client, refusals = await raw(service)
    await client.publish(subject, b"{}")
    await client.flush()
    await eventually(lambda: any("permissions violation for publish" in text for text in refusals))


@pytest.mark.parametrize(("service", "subject"), REFUSED_SUBSCRIBE)
async def test_refused_to_subscribe(raw, service, subject, eventually):
    client, refusals = await raw(service)
    await client.subscribe(subject)
    await client.flush()
    await eventually(lambda: any("permissions violation for subscription" in text for text in refusals))


async def test_the_api_defines_everything_and_the_definitions_stay(settings_for):
    connection = await connect(settings_for("api"), "api")
    await apply_definitions(connection, settings_for("api"))
    await apply_definitions(connection, settings_for("api"))
    for queue in QUEUES:
        assert (await connection.jetstream().stream_info(queue.stream)).config.name == queue.stream
    await connection.close()


async def test_dispatcher_and_worker_do_jobs_with_what_they_may(settings_for, settings, new_worker_on, job, eventually):
    async def nothing_is_left():
        return (await api.jetstream().stream_info(CI.stream)).state.messages == 0

    api = await connect(settings_for("api"), "api")
    await apply_definitions(api, settings_for("api"))
    connection = await connect(settings_for("dispatcher"), "dispatcher")
    worker_connection = await connect(settings_for("worker"), "worker")
    async with Dispatcher(connection, settings) as dispatcher, new_worker_on(worker_connection) as worker:
        [good] = await dispatcher.run([job("good")])
        assert good.succeeded
        results = await dispatcher.run([job("endless", do="wait"), job("bad", do="fail")])
        assert [result.status for result in results] == ["cancelled", "failed"]
        run = job("x").run_id
        await dispatcher.cancel(run)
        await eventually(nothing_is_left)
    assert worker.executed
    found = await api.jetstream().get_msg("KV_forge-control", subject=f"$KV.forge-control.{cancel_key(run)}")
    assert found.data == b"cancelled"
    for opened in (connection, worker_connection, api):
        await opened.close()


async def test_a_wrong_password_is_told(settings_for, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("other")
    with pytest.raises(Exception, match="refused user worker"):
        await connect(settings_for("worker").model_copy(update={"password_file": wrong}), "worker")


async def test_a_worker_hears_cancellations(settings_for, raw, eventually):
    api = await connect(settings_for("api"), "api")
    await apply_definitions(api, settings_for("api"))
    worker, refusals = await raw("worker")
    heard = asyncio.Event()

    async def note(message):
        heard.set()

    await worker.subscribe("$KV.forge-control.cancel.>", cb=note)
    await worker.flush()
    async with Dispatcher(api) as dispatcher:
        await dispatcher.cancel(JOB)
    await asyncio.wait_for(heard.wait(), 10)
    assert refusals == []
    await api.close()
