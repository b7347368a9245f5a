"""Sends the events of the outbox to the stream `forge-events`, at least once.

They arrive in their order; where sending fails, those that failed come after the ones that followed them.
"""

import asyncio

import nats.errors
from nats.aio.client import Client
from nats.js.api import Header

from forge_api.database import outbox
from forge_api.database.outbox import OutboxEvent
from forge_api.database.pool import Database
from forge_api.events.cloudevents import CONTENT_TYPE, encode, subject_of
from forge_api.metrics import Metrics
from forge_sdk.cancellation import pause
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.messaging import EVENTS_STREAM
from forge_sdk.nats_requests import Requests
from forge_sdk.telemetry import span

BATCH = 100
INTERVAL_S = 0.5
PUBLISH_TIMEOUT_S = 5.0
MAX_PAUSE_S = 30.0
_logger = get_logger("forge_api.events")


class EventRelay:
    """Moves events while `run` runs; several replicas share the work. A receiver drops repeats by the event's id."""

    def __init__(self, database: Database, connection: Client, metrics: Metrics) -> None:
        self._database, self._metrics = database, metrics
        self._requests = Requests(connection, PUBLISH_TIMEOUT_S)

    async def run(self) -> None:
        """Send events until cancelled; failures are logged and tried again with growing pauses."""
        failures = 0
        while True:
            try:
                sent = await self.send_batch()
            except (PlatformError, nats.errors.Error, TimeoutError) as error:
                failures += 1
                _logger.warning("events_not_sent", error=f"{type(error).__name__}: {error}", failures=failures)
                await pause(min(MAX_PAUSE_S, INTERVAL_S * 2**failures))
                continue
            failures = 0
            if sent < BATCH:
                await pause(INTERVAL_S)

    async def send_batch(self) -> int:
        """Send the oldest events and forget those that the stream has confirmed; how many there were."""
        async with self._database.transaction() as connection:
            events = await outbox.oldest(connection, BATCH)
            # In their order on one connection; waiting for each would keep requests waiting that come meanwhile.
            outcomes = await asyncio.gather(*map(self._send, events), return_exceptions=True)
            confirmed = [event for event, outcome in zip(events, outcomes, strict=True) if outcome is None]
            if confirmed:
                await outbox.delete(connection, confirmed)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return len(events)

    async def _send(self, event: OutboxEvent) -> None:
        headers = {
            Header.MSG_ID: str(event.id),
            Header.EXPECTED_STREAM: EVENTS_STREAM,
            "Content-Type": CONTENT_TYPE,
        }
        with span(f"publish {event.type}", kind="producer", parent=event.trace):
            await self._requests.write(subject_of(event), encode(event), headers)
        self._metrics.events.labels(event.type).inc()
