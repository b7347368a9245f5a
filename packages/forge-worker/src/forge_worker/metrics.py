"""Prometheus metrics of a worker, with the platform's stable names; every label has few values, none is an id."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from forge_sdk.configuration import MetricsListen
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.jobs import Job, JobResult

SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Pool(Protocol):
    """A pool of slots for jobs (`forge_worker.consumer.PoolConsumer` is one)."""

    @property
    def name(self) -> str:
        """The pool's name."""

    @property
    def slots(self) -> int:
        """Jobs at once."""

    @property
    def busy(self) -> int:
        """Slots in use."""


@dataclass(slots=True)
class Metrics:
    """The metrics of one process."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    jobs: Histogram = field(init=False)
    waiting: Histogram = field(init=False)
    steps: Histogram = field(init=False)
    losses: Counter = field(init=False)
    publications: Counter = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = self._histogram(
            "forge_job_duration_seconds", "Time from a job's start to its end.", "type", "status"
        )
        self.waiting = self._histogram("forge_job_wait_seconds", "Time from a job's making to its start.", "type")
        self.steps = self._histogram("forge_step_duration_seconds", "Time that a step took.", "action", "status")
        self.losses = Counter(
            "forge_worker_losses", "Jobs found that another worker had lost.", ("type",), registry=self.registry
        )
        self.publications = Counter(
            "forge_publisher_attempts",
            "Calls of publishers, by plugin.",
            ("publisher", "result"),
            registry=self.registry,
        )

    def job_ended(self, job: Job, result: JobResult | None) -> None:
        """Count a job; one without result was handed back or lost to another worker."""
        if result is None:
            return
        self.waiting.labels(job.type.value).observe(max(0.0, (result.started_at - job.created_at).total_seconds()))
        duration = max(0.0, (result.finished_at - result.started_at).total_seconds())
        self.jobs.labels(job.type.value, result.status).observe(duration)

    def watch_pools(self, pools: Sequence[Pool]) -> None:
        """Show how many slots each pool has in use and free."""
        self.registry.register(_Slots(pools))

    def watch_git_cache(self, requests: Callable[[], tuple[int, int]]) -> None:
        """Show hits and misses of the git cache."""
        self.registry.register(_GitCache(requests))

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=SECONDS, registry=self.registry)


@dataclass(frozen=True, slots=True, eq=False)
class _Slots(Collector):
    pools: Sequence[Pool]

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("forge_worker_slots", "Slots for jobs, in use and free.", labels=("pool", "state"))
        for pool in self.pools:
            busy = pool.busy
            family.add_metric((pool.name, "busy"), busy)
            family.add_metric((pool.name, "free"), max(0, pool.slots - busy))
        yield family


@dataclass(frozen=True, slots=True, eq=False)
class _GitCache(Collector):
    requests: Callable[[], tuple[int, int]]

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "forge_git_cache_requests", "Commits that were asked for, and whether they were there.", labels=("result",)
        )
        hits, misses = self.requests()
        family.add_metric(("hit",), hits)
        family.add_metric(("miss",), misses)
        yield family


def serve_metrics(listen: MetricsListen, metrics: Metrics) -> Callable[[], None]:
    """Show the metrics at `/metrics`, from a thread of its own; call the result to stop it.

    Raises `ConfigurationError` where the address is taken or not this machine's.
    """
    try:
        server, thread = start_http_server(listen.port, listen.host, metrics.registry)
    except OSError as error:
        raise ConfigurationError(
            f"metrics can't be shown at {listen.host}:{listen.port}: {error.strerror}; correct the section metrics",
            component="worker",
        ) from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
