"""Programs: output as it comes, and an end for everything they started."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from forge_sdk.errors import ConfigurationError
from forge_worker.execution import run_process

ENVIRONMENT = {"PATH": os.environ["PATH"]}
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        pass
pids = sys.argv[1]
with open(os.path.join(pids, str(os.getpid())), "w"):
    pass
time.sleep(600)
"""


async def test_output_and_exit_code(tmp_path):
    chunks = []

    async def sink(chunk):
        chunks.append(chunk)

    end = await run_process(
        ["sh", "-c", "echo out; echo err >&2; exit 3"], cwd=tmp_path, environment=ENVIRONMENT, sink=sink
    )
    assert end.exit_code == 3
    assert sorted(b"".join(chunks).split()) == [b"err", b"out"]
    assert "out" in end.tail_text()


async def test_output_arrives_while_the_program_runs(tmp_path):
    first = asyncio.Event()

    async def sink(chunk):
        first.set()

    task = asyncio.create_task(
        run_process(["sh", "-c", "echo now; cat fifo"], cwd=tmp_path, environment=ENVIRONMENT, sink=sink)
    )
    os.mkfifo(tmp_path / "fifo")
    await asyncio.wait_for(first.wait(), 10)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_only_the_given_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKER_SECRET", "x")
    end = await run_process(["env"], cwd=tmp_path, environment={**ENVIRONMENT, "A": "1"})
    assert "A=1" in end.tail_text()
    assert "WORKER_SECRET" not in end.tail_text()


async def test_standard_input_and_separate_errors(tmp_path):
    errors = bytearray()

    async def sink(chunk):
        errors.extend(chunk)

    end = await run_process(
        ["sh", "-c", "cat; echo no >&2"], cwd=tmp_path, environment=ENVIRONMENT, input=b"hello", error_sink=sink
    )
    assert (end.tail, bytes(errors)) == (b"hello", b"no\n")


async def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="no-such-program"):
        await run_process(["no-such-program"], cwd=tmp_path, environment=ENVIRONMENT)


async def test_a_sink_that_fails_ends_the_program(tmp_path, alive):
    pids = []

    async def sink(chunk):
        pids.append(int(chunk))
        raise LookupError("full")

    with pytest.raises(LookupError):
        await run_process(["sh", "-c", "echo $$; exec sleep 600"], cwd=tmp_path, environment=ENVIRONMENT, sink=sink)
    assert not alive(pids[0])


async def test_cancelling_ends_children_that_ignore_sigterm_and_left_the_session(tmp_path, alive, eventually):
    pids = tmp_path / "pids"
    pids.mkdir()
    task = asyncio.create_task(
        run_process([sys.executable, "-c", STUBBORN, str(pids)], cwd=tmp_path, environment=ENVIRONMENT, grace_s=0.3)
    )
    await eventually(lambda: len(list(pids.iterdir())) == 3, "three processes")
    found = [int(path.name) for path in pids.iterdir()]
    assert len({os.getsid(pid) for pid in found}) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 20)
    assert [pid for pid in found if alive(pid)] == []


async def test_what_a_finished_program_left_running_is_ended(tmp_path, alive):
    script = "setsid sh -c 'echo $$ > pid; exec sleep 600' & while [ ! -s pid ]; do sleep 0.01; done"
    end = await asyncio.wait_for(run_process(["sh", "-c", script], cwd=tmp_path, environment=ENVIRONMENT), 20)
    assert end.exit_code == 0
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_the_tail_is_bounded(tmp_path):
    end = await run_process(["sh", "-c", "yes | head -c 1000000; echo end"], cwd=tmp_path, environment=ENVIRONMENT)
    assert end.tail.endswith(b"end\n")
    assert len(end.tail) < 20_000


async def test_a_program_gets_a_clean_end_before_a_hard_one(tmp_path: Path):
    started = asyncio.Event()

    async def sink(chunk):
        started.set()

    script = "trap 'echo bye > farewell; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    task = asyncio.create_task(run_process(["sh", "-c", script], cwd=tmp_path, environment=ENVIRONMENT, sink=sink))
    await asyncio.wait_for(started.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "farewell").read_text() == "bye\n"
