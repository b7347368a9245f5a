"""Prometheus metrics of the API, with the platform's stable names and bounded labels."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from forge_sdk.models.statuses import RunStatus, TriggerType

DURATIONS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)


class Metrics:
    """The metrics of one process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._http_children: dict[tuple[str, str, int], Histogram] = {}
        self._http_requests = Histogram(
            "forge_http_request_duration_seconds",
            "Time from a request's arrival to its answer.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.runs = Histogram(
            "forge_pipeline_run_duration_seconds",
            "Time from a run's creation to its end.",
            ("status", "trigger_type"),
            buckets=DURATIONS,
            registry=self._registry,
        )
        self.phases = Histogram(
            "forge_phase_duration_seconds",
            "Time from a phase's start to its end.",
            ("status",),
            buckets=DURATIONS,
            registry=self._registry,
        )
        self.queues = Gauge(
            "forge_job_queue_depth",
            "Jobs that wait for a worker or are with one.",
            ("pool",),
            registry=self._registry,
        )
        self.events = Counter(
            "forge_events_sent",
            "Events that the stream has confirmed.",
            ("type",),
            registry=self._registry,
        )

    def run_ended(self, status: RunStatus, trigger_type: TriggerType, seconds: float) -> None:
        """A run has ended."""
        self.runs.labels(status.value, trigger_type.value).observe(seconds)

    def phases_ended(self, phases: Iterable[tuple[str, float]]) -> None:
        """Phases have ended: status and seconds of each."""
        for status, seconds in phases:
            self.phases.labels(status).observe(seconds)

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered after so many seconds."""
        key = (method, route, status)
        child = self._http_children.get(key)
        if child is None:
            # Looking a child up by its labels takes several times what observing does.
            child = self._http_children[key] = self._http_requests.labels(method, route, str(status))
        child.observe(seconds)

    def exposition(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return generate_latest(self._registry)
