"""`python -m round_trip.platform_worker URL`: the worker's own pools, claims, heartbeats and results, with a handler that does nothing."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from nats.aio.msg import Msg
from pydantic import BaseModel

from forge_sdk.configuration import Log, Nats
from forge_sdk.logging import configure_logging
from forge_sdk.messaging import CI, CONTROL_BUCKET
from forge_sdk.models.jobs import JobType
from forge_sdk.nats_requests import Requests
from forge_worker.cancellation import CancellationWatch
from forge_worker.claims import ClaimStore
from forge_worker.collector import settle
from forge_worker.connection import REQUEST_TIMEOUT_S, bucket, connect
from forge_worker.consumer import PoolConsumer
from forge_worker.delivery import DeliveryHandler
from forge_worker.jobs import JobContext, Services
from forge_worker.metrics import Metrics
from forge_worker.runner import JobRunner

SLOTS, ACK_WAIT_S, NAME = 500, 30.0, "bench"


class Nothing(BaseModel):
    """The output of a job that does nothing."""

    project: str = "api"


class NoOperation:
    """The handler."""

    async def run(self, context: JobContext) -> Nothing:
        """Nothing."""
        del context
        return Nothing()


async def work(url: str) -> None:
    """Work for ever."""

    async def reconnected() -> None:
        """NATS is not restarted here."""

    connection = await connect(Nats(url=url), NAME, reconnected)
    services = cast("Services", SimpleNamespace(storage=cast("Any", None), metrics=Metrics(), workspace=Path()))
    watch = CancellationWatch(connection, bucket(connection, CONTROL_BUCKET))
    async with watch.running():
        runner = JobRunner(services, NAME, {JobType.CI: NoOperation})
        requests = Requests(connection, REQUEST_TIMEOUT_S)
        claims = ClaimStore(connection, requests, NAME)
        delivery = DeliveryHandler(connection, requests, claims, watch, runner, worker=NAME, ack_wait_s=ACK_WAIT_S)

        async def handle(message: Msg) -> None:
            await delivery.handle(message, CI)

        print("ready", flush=True)
        await PoolConsumer(connection, CI, SLOTS, handle).run()


if __name__ == "__main__":
    import uvloop

    configure_logging(Log(level="warning"), NAME)
    settle()
    uvloop.run(work(sys.argv[1]))
