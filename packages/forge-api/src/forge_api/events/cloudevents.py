"""Events as CloudEvents 1.0, structured mode (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)."""

from datetime import UTC
from typing import Any

import orjson

from forge_api.database.outbox import OutboxEvent
from forge_sdk.messaging import EVENTS_SUBJECT
from forge_sdk.models.base import SCHEMA_VERSION

CONTENT_TYPE = "application/cloudevents+json"
SOURCE = "/catalyst-forge"


def subject_of(event: OutboxEvent) -> str:
    """The NATS subject: `forge.events.<type>`."""
    return f"{EVENTS_SUBJECT}.{event.type}"


def encode(event: OutboxEvent) -> bytes:
    """The event as JSON, its data with their `schemaVersion`; `traceparent` is the extension for distributed tracing."""
    content: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(event.id),
        "source": SOURCE,
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at.astimezone(UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": {"schemaVersion": SCHEMA_VERSION, **event.data},
    }
    if event.trace is not None:
        content["traceparent"] = event.trace
    return orjson.dumps(content)
