"""The one set of definitions of streams, consumers and buckets, applied idempotently."""

from typing import TYPE_CHECKING, Any

import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from forge_dispatch.failures import COMPONENT, reason, translated
from forge_sdk.errors import ConfigurationError
from forge_sdk.messaging import (
    CONTROL_BUCKET,
    EVENTS_MAX_AGE_S,
    EVENTS_STREAM,
    EVENTS_SUBJECT,
    JOBS_BUCKET,
    MAX_AGE_S,
    MAX_DELIVER,
    QUEUES,
    Queue,
)

if TYPE_CHECKING:
    from forge_sdk.configuration import Nats

BUCKETS = (JOBS_BUCKET, CONTROL_BUCKET)
# A server that lacks something (replicas, for example) says 500; 503 means that it is not ready.
REFUSALS = (nats.js.errors.BadRequestError, nats.js.errors.ServerError)
Values = dict[str, Any]


async def apply_definitions(connection: Client, configuration: "Nats") -> None:
    """Creates or updates all streams, consumers and buckets; what is as it should be is left alone.

    Settings that the definitions don't name (placement, for example) keep their values. Raises `ConfigurationError`
    that names object and setting where a difference can't be updated, `TransientError` where NATS can't be reached.
    """
    jetstream = connection.jetstream()
    with translated("applying the definitions of streams"):
        for queue in QUEUES:
            await _apply_stream(jetstream, _queue_values(queue, configuration.replicas))
            await _apply_consumer(jetstream, queue, configuration.ack_wait_s)
        for bucket in BUCKETS:
            await _apply_stream(jetstream, _bucket_values(bucket, configuration.replicas))
        await _apply_stream(jetstream, _events_values(configuration.replicas))


def _queue_values(queue: Queue, replicas: int) -> Values:
    return {
        "name": queue.stream,
        "subjects": [f"{queue.subject}.>"],
        "retention": RetentionPolicy.WORK_QUEUE,
        "storage": StorageType.FILE,
        "discard": DiscardPolicy.NEW,
        # One message per job: publishing a queued or running job again is refused, however long ago the first was.
        "max_msgs_per_subject": 1,
        "discard_new_per_subject": True,
        "max_msgs": queue.max_messages,
        "max_age": float(MAX_AGE_S),
        "num_replicas": replicas,
    }


def _bucket_values(bucket: str, replicas: int) -> Values:
    return {
        "name": f"KV_{bucket}",
        "subjects": [f"$KV.{bucket}.>"],
        "storage": StorageType.FILE,
        "discard": DiscardPolicy.NEW,
        "max_msgs_per_subject": 1,
        "max_age": float(MAX_AGE_S),
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        # Reads go to the leader: a follower could answer with a claim that is over already.
        "allow_direct": False,
        "num_replicas": replicas,
    }


def _events_values(replicas: int) -> Values:
    return {
        "name": EVENTS_STREAM,
        "subjects": [f"{EVENTS_SUBJECT}.>"],
        "retention": RetentionPolicy.LIMITS,
        "storage": StorageType.FILE,
        "discard": DiscardPolicy.OLD,
        "max_age": float(EVENTS_MAX_AGE_S),
        "num_replicas": replicas,
    }


async def _apply_stream(jetstream: JetStreamContext, wanted: Values) -> None:
    name = wanted["name"]
    try:
        info = await jetstream.stream_info(name)
    except nats.js.errors.NotFoundError:
        await _create_stream(jetstream, wanted)
        return
    differences = _differences(info.config, wanted)
    if not differences:
        return
    try:
        await jetstream.update_stream(info.config.evolve(**wanted))
    except REFUSALS as error:
        raise _refused(f"stream {name}", differences, error) from error


async def _create_stream(jetstream: JetStreamContext, wanted: Values) -> None:
    try:
        await jetstream.add_stream(StreamConfig(**wanted))
    except REFUSALS as error:
        raise ConfigurationError(
            f"stream {wanted['name']} can't be created: {reason(error)}", component=COMPONENT
        ) from error


async def _apply_consumer(jetstream: JetStreamContext, queue: Queue, ack_wait_s: float) -> None:
    wanted: Values = {
        "durable_name": queue.consumer,
        "deliver_policy": DeliverPolicy.ALL,
        "ack_policy": AckPolicy.EXPLICIT,
        "ack_wait": ack_wait_s,
        "max_deliver": MAX_DELIVER,
        "max_ack_pending": queue.max_messages,
    }
    differences = await _consumer_differences(jetstream, queue, wanted)
    if not differences:
        return
    try:
        await jetstream.add_consumer(queue.stream, ConsumerConfig(**wanted))
    except REFUSALS as error:
        raise _refused(f"consumer {queue.consumer} of stream {queue.stream}", differences, error) from error


async def _consumer_differences(jetstream: JetStreamContext, queue: Queue, wanted: Values) -> list[str]:
    try:
        info = await jetstream.consumer_info(queue.stream, queue.consumer)
    except nats.js.errors.NotFoundError:
        return ["it does not exist"]
    return _differences(info.config, wanted)


def _differences(found: object, wanted: Values) -> list[str]:
    return [
        f"{name} is {_shown(getattr(found, name))}, wanted {_shown(value)}"
        for name, value in wanted.items()
        if getattr(found, name) != value
    ]


def _shown(value: object) -> str:
    return str(getattr(value, "value", value))


def _refused(what: str, differences: list[str], error: nats.js.errors.APIError) -> ConfigurationError:
    return ConfigurationError(
        f"{what} differs in what NATS can't change ({reason(error)}): {'; '.join(differences)}; "
        "drain it, delete it and apply the definitions again",
        component=COMPONENT,
        context={"differences": [*differences]},
    )
