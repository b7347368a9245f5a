"""Prometheus metrics of the API, with the platform's stable names and bounded labels."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST


class Metrics:
    """The metrics of one process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.http_requests = Histogram(
            "forge_http_request_duration_seconds",
            "Time from a request's arrival to its answer.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.events = Counter(
            "forge_events_sent",
            "Events that the stream has confirmed.",
            ("type",),
            registry=self._registry,
        )

    def exposition(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return generate_latest(self._registry)
