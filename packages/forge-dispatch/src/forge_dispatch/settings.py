"""Settings of the dispatcher."""

from dataclasses import dataclass, field

from forge_sdk.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """Times in seconds.

    `sweep_interval_s`: how often the entries of open jobs are read. `waiting_limit_s`: how long a job may wait for a
    worker. `timeout_slack_s`: how long a worker may take beyond the job's own timeout to end it. `cancel_grace_s`: how
    long a worker may take to end a cancelled job. `unreachable_limit_s`: how long NATS may be away before a call gives
    up. `request_timeout_s`: limit of one request. `publish_concurrency`: publishes in flight.
    """

    sweep_interval_s: float = 10.0
    waiting_limit_s: float = 3600.0
    timeout_slack_s: float = 60.0
    cancel_grace_s: float = 60.0
    unreachable_limit_s: float = 600.0
    request_timeout_s: float = 5.0
    publish_concurrency: int = 64
    backoff: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(attempts=12, base_delay=0.1, max_delay=5.0, jitter=0.1)
    )
