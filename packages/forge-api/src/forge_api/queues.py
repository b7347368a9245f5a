"""How many jobs wait in each queue, read when the metrics are."""

import asyncio

import nats.errors
from nats.aio.client import Client

from forge_api.metrics import Metrics
from forge_sdk.logging import get_logger
from forge_sdk.messaging import QUEUES, Queue

TIMEOUT_S = 1.0
_logger = get_logger("forge_api.queues")


async def queue_depths(connection: Client, metrics: Metrics) -> None:
    """Set the depth of every queue; where NATS does not answer in time the last known depths stay."""
    jetstream = connection.jetstream(timeout=TIMEOUT_S)

    async def read(queue: Queue) -> None:
        found = await jetstream.stream_info(queue.stream)
        metrics.queues.labels(queue.pool).set(found.state.messages)

    try:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*(read(queue) for queue in QUEUES))
    except (nats.errors.Error, TimeoutError) as error:
        _logger.warning("queue_depths_not_read", error=type(error).__name__)
