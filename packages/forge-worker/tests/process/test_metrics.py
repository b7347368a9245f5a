"""Metrics of a worker, as Prometheus reads them."""

import asyncio
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families


@pytest.fixture
def scrape(unused_tcp_port_factory, worker_file):
    """Samples by name and labels, from a worker that is started after this fixture."""
    port = unused_tcp_port_factory()
    worker_file.write_text(worker_file.read_text() + f"metrics: {{host: 127.0.0.1, port: {port}}}\n")

    def read():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return read


async def test_jobs_steps_slots_and_the_git_cache_are_counted(
    platform, source, start_worker, scrape, ci_job, eventually, tmp_path
):
    start_worker()
    job = ci_job(platform, source, f"touch {tmp_path}/runs; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
    await platform.publish(job)
    await eventually((tmp_path / "runs").exists, "the step runs", 30)
    samples = await asyncio.to_thread(scrape)
    assert samples["forge_worker_slots", "busy", "ci"] == 1
    assert samples["forge_worker_slots", "ci", "free"] == 0
    (tmp_path / "go").touch()
    await platform.result(job.id, 30)
    samples = await eventually(
        lambda: found if ("forge_job_duration_seconds_count", "ci", "success") in (found := scrape()) else None,
        "the job is counted",
    )
    assert samples["forge_job_duration_seconds_count", "ci", "success"] == 1
    assert samples["forge_job_wait_seconds_count", "ci"] == 1
    assert samples["forge_step_duration_seconds_count", "script", "success"] == 1
    assert samples["forge_git_cache_requests_total", "miss"] == 1
    assert samples["forge_git_cache_requests_total", "hit"] == 0


async def test_a_job_of_a_dead_worker_is_counted_as_a_loss(
    platform, source, start_worker, scrape, ci_job, ended, eventually
):
    dying = start_worker(FORGE_STOP_AT="ci.run:before")
    job = ci_job(platform, source, "true")
    await platform.publish(job)
    await ended(dying)
    start_worker()
    await platform.result(job.id, 30)
    await eventually(lambda: scrape().get(("forge_worker_losses_total", "ci")) == 1, "the loss is counted")


async def test_a_taken_port_is_said(start_worker, worker_file, api, ended, tmp_path):
    port = api["url"].rpartition(":")[2]
    worker_file.write_text(worker_file.read_text() + f"metrics: {{port: {port}}}\n")
    assert await ended(start_worker()) == 2
    assert f"metrics can't be shown at 127.0.0.1:{port}" in (tmp_path / "worker-0.log").read_text()
