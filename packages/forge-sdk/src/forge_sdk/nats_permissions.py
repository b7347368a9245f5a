"""What each service may publish and subscribe to on NATS: the one list, from which all servers are set up.

A subject that a service doesn't need is not here. Subjects are those of nats.io: `$JS.API.*` are requests to JetStream,
`$KV.<bucket>.<key>` are writes of KV entries, `_INBOX_<service>` holds the answers that only that service may read.
`python -m forge_sdk.nats_permissions` writes them as JSON, from which `deploy/nats/permissions.json` is made.
"""

import json
import sys
from dataclasses import dataclass

from forge_sdk.messaging import CONTROL_BUCKET, EVENTS_STREAM, EVENTS_SUBJECT, JOBS_BUCKET, QUEUES

API, DISPATCHER, WORKER = "api", "dispatcher", "worker"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Allowed subjects of one service, which connects with `inbox_prefix`."""

    service: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    @property
    def inbox_prefix(self) -> str:
        """Prefix of the service's inboxes."""
        return inbox_prefix(self.service)

    def as_json(self) -> dict[str, object]:
        """The member `permissions` of a user in a NATS server's configuration."""
        return {"publish": {"allow": list(self.publish)}, "subscribe": {"allow": list(self.subscribe)}}


def inbox_prefix(service: str) -> str:
    """Prefix of the inboxes of a service."""
    return f"_INBOX_{service}"


_STREAMS = (*(queue.stream for queue in QUEUES), f"KV_{JOBS_BUCKET}", f"KV_{CONTROL_BUCKET}", EVENTS_STREAM)
_DISPATCH = (
    *(f"{queue.subject}.*" for queue in QUEUES),
    *(f"$JS.API.STREAM.PURGE.{queue.stream}" for queue in QUEUES),
    f"$JS.API.STREAM.INFO.KV_{JOBS_BUCKET}",
    f"$JS.API.STREAM.MSG.GET.KV_{JOBS_BUCKET}",
    f"$KV.{JOBS_BUCKET}.*",
    f"$KV.{CONTROL_BUCKET}.cancel.>",
    f"$JS.API.STREAM.MSG.GET.KV_{CONTROL_BUCKET}",
)
"""Publish and purge jobs, list, read and finish their entries, cancel, and see what was cancelled."""
_DEFINE = (
    *(f"$JS.API.STREAM.{verb}.{stream}" for stream in _STREAMS for verb in ("INFO", "CREATE", "UPDATE")),
    *(
        subject
        for queue in QUEUES
        for subject in (
            f"$JS.API.CONSUMER.INFO.{queue.stream}.{queue.consumer}",
            f"$JS.API.CONSUMER.CREATE.{queue.stream}.{queue.consumer}",
            f"$JS.API.CONSUMER.DURABLE.CREATE.{queue.stream}.{queue.consumer}",
        )
    ),
)
"""Create and update streams, consumers and buckets."""
_FOLLOW = (
    f"$JS.API.CONSUMER.CREATE.{EVENTS_STREAM}.>",
    f"$JS.API.CONSUMER.INFO.{EVENTS_STREAM}.>",
    f"$JS.API.CONSUMER.DELETE.{EVENTS_STREAM}.>",
)
"""Follow events."""
_WORK = (
    *(
        subject
        for queue in QUEUES
        for subject in (
            f"$JS.API.CONSUMER.INFO.{queue.stream}.{queue.consumer}",
            f"$JS.API.CONSUMER.MSG.NEXT.{queue.stream}.{queue.consumer}",
            f"$JS.ACK.{queue.stream}.{queue.consumer}.>",
            # Servers with the second version of acknowledgement subjects put domain and account first.
            f"$JS.ACK.*.*.{queue.stream}.{queue.consumer}.>",
        )
    ),
    f"$JS.API.STREAM.MSG.GET.KV_{JOBS_BUCKET}",
    f"$JS.API.STREAM.INFO.KV_{CONTROL_BUCKET}",
    f"$JS.API.STREAM.MSG.GET.KV_{CONTROL_BUCKET}",
    f"$KV.{JOBS_BUCKET}.*",
)
"""Pull jobs and acknowledge them, claim them and write results, list and read cancel keys."""

PERMISSIONS = {
    API: Permissions(
        API,
        publish=(*_DEFINE, *_DISPATCH, *_FOLLOW, f"{EVENTS_SUBJECT}.>"),
        subscribe=(f"{inbox_prefix(API)}.>", f"{EVENTS_SUBJECT}.>", "forge.logs.>"),
    ),
    DISPATCHER: Permissions(DISPATCHER, publish=_DISPATCH, subscribe=(f"{inbox_prefix(DISPATCHER)}.>",)),
    WORKER: Permissions(
        WORKER,
        # Whoever dispatched a job is woken up through its own inbox.
        publish=(*_WORK, f"{inbox_prefix(API)}.>", f"{inbox_prefix(DISPATCHER)}.>", "forge.logs.*.*"),
        subscribe=(f"{inbox_prefix(WORKER)}.>", f"$KV.{CONTROL_BUCKET}.cancel.>"),
    ),
}


def document() -> str:
    """All permissions as JSON: `{"<service>": {"publish": {"allow": [...]}, "subscribe": {"allow": [...]}}}`."""
    return json.dumps({service: found.as_json() for service, found in PERMISSIONS.items()}, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
