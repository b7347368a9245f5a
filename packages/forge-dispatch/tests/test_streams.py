import pytest
from nats.js.api import RetentionPolicy, StreamConfig

from forge_dispatch.streams import apply_definitions
from forge_sdk.configuration import Nats
from forge_sdk.errors import ConfigurationError
from forge_sdk.messaging import ARTIFACT, CI, CONTROL_BUCKET, EVENTS_STREAM, JOBS_BUCKET, MAX_AGE_S, QUEUES


async def test_every_queue_has_its_stream_and_consumer(connection):
    jetstream = connection.jetstream()
    for queue in QUEUES:
        stream = (await jetstream.stream_info(queue.stream)).config
        assert (stream.retention, stream.discard, stream.storage) == ("workqueue", "new", "file")
        assert (stream.max_msgs, stream.max_age) == (queue.max_messages, MAX_AGE_S)
        consumer = (await jetstream.consumer_info(queue.stream, queue.consumer)).config
        assert (consumer.ack_policy, consumer.ack_wait, consumer.max_deliver) == ("explicit", 1, 20)


async def test_buckets_and_the_stream_of_events_exist(connection):
    jetstream = connection.jetstream()
    for bucket in (JOBS_BUCKET, CONTROL_BUCKET):
        status = await (await jetstream.key_value(bucket)).status()
        assert (status.ttl, status.history) == (MAX_AGE_S, 1)
    assert (await jetstream.stream_info(EVENTS_STREAM)).config.subjects == ["forge.events.>"]


async def test_applying_again_changes_nothing(connection, configuration):
    before = await connection.jetstream().streams_info()
    await apply_definitions(connection, configuration)
    after = await connection.jetstream().streams_info()
    assert [found.config for found in after] == [found.config for found in before]


async def test_a_changed_setting_is_updated(connection, configuration):
    jetstream = connection.jetstream()
    config = (await jetstream.stream_info(CI.stream)).config
    await jetstream.update_stream(config.evolve(max_msgs=7))
    await apply_definitions(connection, Nats(url=configuration.url, ack_wait_s=5))
    assert (await jetstream.stream_info(CI.stream)).config.max_msgs == CI.max_messages
    assert (await jetstream.consumer_info(CI.stream, CI.consumer)).config.ack_wait == 5


async def test_what_the_definitions_do_not_name_is_kept(connection, configuration):
    jetstream = connection.jetstream()
    config = (await jetstream.stream_info(CI.stream)).config
    await jetstream.update_stream(config.evolve(description="ours", max_msgs=7))
    await apply_definitions(connection, configuration)
    assert (await jetstream.stream_info(CI.stream)).config.description == "ours"


async def test_a_difference_that_can_not_be_updated_is_named(connection, configuration):
    jetstream = connection.jetstream()
    await jetstream.delete_stream(ARTIFACT.stream)
    await jetstream.add_stream(
        StreamConfig(name=ARTIFACT.stream, subjects=[f"{ARTIFACT.subject}.>"], retention=RetentionPolicy.LIMITS)
    )
    with pytest.raises(ConfigurationError) as caught:
        await apply_definitions(connection, configuration)
    assert "stream pipeline-artifacts" in caught.value.message
    assert "retention is limits, wanted workqueue" in caught.value.message


async def test_too_many_replicas_for_the_server_are_an_error(make_nats_server, configuration):
    from forge_dispatch.connection import connect

    single = Nats(url=make_nats_server().url, replicas=3)
    connection = await connect(single, "test")
    with pytest.raises(ConfigurationError, match="stream pipeline-discovery can't be created"):
        await apply_definitions(connection, single)
    await connection.close()
