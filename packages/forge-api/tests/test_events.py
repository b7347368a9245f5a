import asyncio
import json

import pytest
from structlog.testing import capture_logs

from forge_api.database import outbox
from forge_api.events.relay import EventRelay
from forge_api.metrics import Metrics
from forge_dispatch.streams import apply_definitions
from forge_sdk.messaging import EVENTS_STREAM

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def relay(database, connection):
    await connection.jetstream().purge_stream(EVENTS_STREAM)
    return EventRelay(database, connection, Metrics())


async def record(database, *subjects):
    async with database.transaction() as connection:
        return [
            await outbox.record(connection, "release.created", subject, {"subject": subject}, trace=TRACE)
            for subject in subjects
        ]


async def stored(connection):
    jetstream = connection.jetstream()
    count = (await jetstream.stream_info(EVENTS_STREAM)).state.messages
    last = (await jetstream.stream_info(EVENTS_STREAM)).state.last_seq
    return [await jetstream.get_msg(EVENTS_STREAM, sequence) for sequence in range(last - count + 1, last + 1)]


async def test_events_arrive_in_order_as_cloudevents(relay, database, connection):
    ids = await record(database, "release/1", "release/2")
    assert await relay.send_batch() == 2
    messages = await stored(connection)
    assert {message.subject for message in messages} == {"forge.events.release.created"}
    events = [json.loads(message.data) for message in messages]
    assert [event["id"] for event in events] == [str(event_id) for event_id in ids]
    first = events[0]
    assert (first["specversion"], first["type"], first["subject"]) == ("1.0", "release.created", "release/1")
    assert (first["traceparent"], first["data"]) == (TRACE, {"schemaVersion": "1.0", "subject": "release/1"})


async def test_what_was_delivered_is_forgotten(relay, database):
    await record(database, "release/1")
    await relay.send_batch()
    assert await database.fetch_value("select count(*) from event_outbox") == 0


async def test_an_event_of_a_rolled_back_change_never_leaves(relay, database):
    with pytest.raises(RuntimeError):
        async with database.transaction() as connection:
            await outbox.record(connection, "release.created", "release/1", {})
            raise RuntimeError
    assert await relay.send_batch() == 0


async def test_an_event_that_is_sent_twice_is_stored_once(relay, database, connection):
    await record(database, "release/1")
    async with database.connection() as reader:
        event = (await outbox.oldest(reader, 1))[0]
    await relay._send(event)
    await relay.send_batch()
    assert len(await stored(connection)) == 1


async def test_replicas_share_the_work(relay, database, connection):
    await record(database, *(f"release/{number}" for number in range(150)))
    other = EventRelay(database, connection, Metrics())
    sent = await asyncio.gather(relay.send_batch(), other.send_batch())
    while count := await relay.send_batch():
        sent.append(count)
    assert sum(sent) == len(await stored(connection)) == 150


async def test_events_wait_until_the_stream_is_there(relay, database, connection, configuration):
    await record(database, "release/1")
    await connection.jetstream().delete_stream(EVENTS_STREAM)
    with capture_logs() as logs:
        task = asyncio.create_task(relay.run())
        await until(lambda: any(entry["event"] == "events_not_sent" for entry in logs))
    try:
        assert await database.fetch_value("select count(*) from event_outbox") == 1
        await apply_definitions(connection, configuration.nats)
        async with asyncio.timeout(20):
            while await database.fetch_value("select count(*) from event_outbox"):
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(await stored(connection)) == 1


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_new_run_tells_of_itself(client, create_run, relay, connection):
    run = await client.create_run(create_run(branch="main"))
    await client.create_run(create_run(branch="main"))
    await relay.send_batch()
    events = [json.loads(message.data) for message in await stored(connection)]
    assert [(event["type"], event["subject"]) for event in events] == [("pipeline.run.created", f"run/{run.id}")]
    assert events[0]["data"]["commit_sha"] == run.commit_sha
