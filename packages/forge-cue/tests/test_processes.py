import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from forge_cue import EvaluationRequest, Evaluator, EvaluatorCrashedError, EvaluatorError, Instance

ENDLESS = "a0: {x: 1}\n" + "\n".join(f"a{i + 1}: {{x: a{i}, y: a{i}}}" for i in range(30))

ORPHAN = f"""
import asyncio
from forge_cue import EvaluationRequest, Evaluator, Instance

async def main():
    async with Evaluator(processes=1, time_limit=60) as evaluator:
        await evaluator.evaluate(EvaluationRequest([Instance("x", "p", {{"p.cue": "package p"}})]))
        print(*evaluator.process_ids, flush=True)
        await evaluator.evaluate(EvaluationRequest([Instance("x", "p", {{"p.cue": "package p\\n" + {ENDLESS!r}}})]))

asyncio.run(main())
"""


def package(text: str = "a: 1") -> EvaluationRequest:
    return EvaluationRequest([Instance("x", "p", {"p.cue": f"package p\n{text}"})])


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def is_gone(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


async def test_one_process_serves_thousands_of_evaluations_in_bounded_memory(evaluator):
    await evaluator.evaluate(package())
    pids = evaluator.process_ids
    for start in range(0, 2000, 20):
        instances = [Instance("x", "p", {"p.cue": f"package p\nn: {start + i}"}) for i in range(10)]
        await asyncio.gather(*(evaluator.evaluate(EvaluationRequest([one])) for one in instances * 2))
    assert evaluator.process_ids == pids
    assert psutil.Process(pids[0]).memory_info().rss < 128 << 20


async def test_a_process_that_was_started_ahead_serves_the_first_request(evaluator):
    await evaluator.start()
    pids = evaluator.process_ids
    assert len(pids) == 1
    await evaluator.evaluate(package())
    assert evaluator.process_ids == pids


async def test_requests_share_the_processes():
    async with Evaluator(processes=2) as evaluator:
        responses = await asyncio.gather(*(evaluator.evaluate(package(f"a: {i}")) for i in range(40)))
        assert len(evaluator.process_ids) == 2
    assert [response.results[0].value["a"] for response in responses] == list(range(40))


async def test_a_cancelled_evaluation_ends_its_process(evaluator):
    await evaluator.evaluate(package())
    (pid,) = evaluator.process_ids
    before = cpu_seconds(pid)
    running = asyncio.create_task(evaluator.evaluate(package(ENDLESS)))
    # So much that it can only be the endless one: a request that was not sent yet would leave the process alive.
    await until(lambda: cpu_seconds(pid) - before > 0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert is_gone(pid)
    assert (await evaluator.evaluate(package())).results[0].value == {"a": 1}


async def test_a_process_killed_between_requests_is_replaced(evaluator):
    await evaluator.evaluate(package())
    (pid,) = evaluator.process_ids
    os.kill(pid, signal.SIGKILL)
    await until(lambda: is_gone(pid))
    with contextlib.suppress(EvaluatorCrashedError):
        await evaluator.evaluate(package())
    assert (await evaluator.evaluate(package())).results[0].value == {"a": 1}


async def test_a_process_killed_amid_a_request_fails_that_request_alone():
    async with Evaluator(processes=1) as evaluator:
        await evaluator.evaluate(package())
        (pid,) = evaluator.process_ids
        before = cpu_seconds(pid)
        running = asyncio.create_task(evaluator.evaluate(package(ENDLESS)))
        waiting = asyncio.create_task(evaluator.evaluate(package()))
        await until(lambda: cpu_seconds(pid) - before > 0.3)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EvaluatorCrashedError, match="-9"):
            await running
        assert (await waiting).results[0].value == {"a": 1}


async def test_closing_ends_idle_and_busy_processes():
    evaluator = Evaluator(processes=2)
    running = asyncio.create_task(evaluator.evaluate(package(ENDLESS)))
    await evaluator.evaluate(package())
    pids = evaluator.process_ids
    await evaluator.aclose()
    with pytest.raises(EvaluatorError):
        await running
    assert evaluator.process_ids == []
    assert all(is_gone(pid) for pid in pids)
    with pytest.raises(EvaluatorError, match="closed"):
        await evaluator.evaluate(package())


def test_no_process_stays_when_the_parent_is_killed():
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while not is_gone(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_gone(pid)


async def test_the_environment_of_the_host_is_kept_from_the_child(evaluator, monkeypatch):
    monkeypatch.setenv("FORGE_SECRET", "hidden")
    await evaluator.evaluate(package())
    assert psutil.Process(evaluator.process_ids[0]).environ() == {"GOTRACEBACK": "none"}
