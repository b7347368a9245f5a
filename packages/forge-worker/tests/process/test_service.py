"""The worker as a process: start, registration, drain, and death in the middle of a task."""

import asyncio
import signal

from forge_sdk.models.payloads import CiOutput


async def test_a_worker_registers_works_and_drains(
    platform, source, start_worker, api, storage, eventually, ci_job, ended
):
    process = start_worker()
    job = ci_job(platform, source, "cat file")
    await platform.publish(job)
    result = await platform.result(job.id, 30)
    assert result.status == "success", result.error
    (step,) = result.output_as(CiOutput).steps
    assert await storage.get(step.logs_key, limit=100) == b"text"
    name, body = api["plugins"][0]
    assert (name, body["pools"]) == ("worker", ["ci"])
    assert ("step action", "script") in {(plugin["kind"], plugin["name"]) for plugin in body["plugins"]}
    await eventually(lambda: api["statuses"], "statuses")
    process.send_signal(signal.SIGTERM)
    assert await ended(process) == 0


async def test_sigterm_hands_a_long_job_to_another_worker(
    platform, source, start_worker, tmp_path, eventually, alive, ci_job, ended
):
    first = start_worker()
    job = ci_job(platform, source, f"echo $$ >> {tmp_path}/pids; test -e {tmp_path}/go || exec sleep 600")
    await platform.publish(job)
    await eventually((tmp_path / "pids").exists, "the step runs")
    first.send_signal(signal.SIGTERM)
    assert await ended(first) == 0
    assert not alive(int((tmp_path / "pids").read_text().split()[0]))
    (tmp_path / "go").touch()
    start_worker()
    result = await platform.result(job.id, 30)
    assert result.status == "success"
    assert (await platform.entry(job.id)).losses == 0


async def test_sigterm_ends_a_worker_that_cannot_record_its_result_since_nats_is_away(
    platform, source, start_worker, tmp_path, eventually, ci_job, ended
):
    first = start_worker()
    job = ci_job(platform, source, f"touch {tmp_path}/begun; while ! test -e {tmp_path}/go; do sleep 0.05; done")
    await platform.publish(job)
    await eventually((tmp_path / "begun").exists, "the step runs")
    await asyncio.to_thread(platform.server.stop_blocking)
    (tmp_path / "go").touch()
    log = tmp_path / "worker-0.log"
    await eventually(lambda: "result_not_recorded" in log.read_text(), "the result is tried")
    first.send_signal(signal.SIGTERM)
    assert await ended(first, 30) == 0
    assert "jobs_not_handed_back" in log.read_text()
    await asyncio.to_thread(platform.server.start_blocking)
    start_worker()
    assert (await platform.result(job.id, 30)).status == "success"


async def test_kill_minus_nine_in_the_middle_of_a_task(
    platform, source, start_worker, tmp_path, eventually, alive, ci_job, ended
):
    first = start_worker()
    job = ci_job(platform, source, f"echo $$ >> {tmp_path}/pids; test -e {tmp_path}/go || exec sleep 600")
    await platform.publish(job)
    await eventually((tmp_path / "pids").exists, "the step runs")
    first.kill()
    await ended(first)
    (tmp_path / "go").touch()
    second = start_worker()
    result = await platform.result(job.id, 30)
    assert (result.status, str(second.pid) in result.worker) == ("success", True)
    assert (await platform.entry(job.id)).losses == 1
    assert not alive(int((tmp_path / "pids").read_text().split()[0]))


async def test_a_worker_can_be_stopped_at_a_checkpoint(platform, source, start_worker, ci_job, ended):
    dying = start_worker(FORGE_STOP_AT="ci.run:before")
    job = ci_job(platform, source, "true")
    await platform.publish(job)
    assert await ended(dying) == -signal.SIGKILL
    start_worker()
    assert (await platform.result(job.id, 30)).status == "success"


async def test_a_wrong_configuration_says_what(start_worker, worker_file, tmp_path, ended):
    worker_file.write_text(worker_file.read_text().replace("pools:", "pool:"))
    assert await ended(start_worker()) == 2
    text = (tmp_path / "worker-0.log").read_text()
    assert "pools: Field required" in text
    assert "Traceback" not in text


async def test_a_stop_while_waiting_for_nats_is_obeyed(
    start_worker, worker_file, platform, eventually, tmp_path, ended
):
    worker_file.write_text(worker_file.read_text().replace(platform.url, "nats://127.0.0.1:1"))
    process = start_worker()
    await eventually(lambda: "nats_error" in (tmp_path / "worker-0.log").read_text(), "an attempt")
    process.send_signal(signal.SIGTERM)
    assert await ended(process) == 0
