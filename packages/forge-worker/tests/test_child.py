"""The end of a program: its exit code, for everyone who waits, with nothing left open; on both event loops and both ways."""

import asyncio
import os
import signal
import subprocess

import pytest
import uvloop

from forge_worker.execution.child import Child


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    def run(main):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(asyncio.wait_for(main(), 20))

    return run


@pytest.fixture(params=["descriptor", "thread"], autouse=True)
def way(request, monkeypatch):
    def refused(pid):
        raise PermissionError("refused by the system call filter")

    if request.param == "thread":
        monkeypatch.setattr(os, "pidfd_open", refused)


def start(*argv):
    return Child(subprocess.Popen(argv, stdin=subprocess.PIPE))


def release(child):
    child._program.stdin.close()


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


def is_collected(pid):
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


@pytest.mark.parametrize(("script", "expected"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", -signal.SIGKILL)])
def test_the_exit_code_and_the_signal(run, script, expected):
    async def main():
        child = start("sh", "-c", script)
        release(child)
        assert await child.wait() == expected
        assert child.returncode == expected
        assert await child.wait() == expected

    run(main)


def test_one_who_stops_waiting_takes_nothing_from_the_others(run):
    async def main():
        child = start("sh", "-c", "read line; exit 4")
        impatient, patient = asyncio.create_task(child.wait()), asyncio.create_task(child.wait())
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert child.returncode is None
        release(child)
        assert await patient == 4

    run(main)


def test_a_program_that_nobody_waits_for_is_collected(run, eventually):
    async def main():
        child = start("cat")
        assert not is_collected(child.pid)
        release(child)
        await eventually(lambda: is_collected(child.pid), "the end of the program")

    run(main)


def test_nothing_stays_open(run):
    async def main():
        async def one(code):
            child = start("sh", "-c", f"exit {code}")
            release(child)
            return await child.wait()

        await one(0)
        before = descriptors()
        assert await asyncio.gather(*map(one, range(40))) == list(range(40))
        assert descriptors() == before

    run(main)
