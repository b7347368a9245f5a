"""The same job for taskiq: a redis list as broker, redis for results."""

import os
from typing import Any

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

URL = os.environ["BENCH_REDIS"]
broker = ListQueueBroker(URL).with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=60))


@broker.task
async def no_operation(job: dict[str, Any]) -> dict[str, Any]:
    """Nothing."""
    return {"job_id": job["id"], "status": "success"}
