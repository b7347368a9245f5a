"""The same job for dramatiq: redis as broker and for results."""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

URL = os.environ["BENCH_REDIS"]
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True, max_retries=0)
def no_operation(job: dict[str, Any]) -> dict[str, Any]:
    """Nothing."""
    return {"job_id": job["id"], "status": "success"}
