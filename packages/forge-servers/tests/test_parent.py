"""The servers end when the process that started them dies, however that happens."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forge_servers import NatsServer, PostgresServer, RegistryServer, S3Server

KINDS = (PostgresServer, NatsServer, S3Server, RegistryServer)

PARENT = """
import asyncio, sys
from pathlib import Path
from forge_servers import NatsServer, PostgresServer, RegistryServer, S3Server

async def main():
    for kind in (PostgresServer, NatsServer, S3Server, RegistryServer):
        server = kind(Path(sys.argv[1], kind.__name__))
        await server.start()
        print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def parent(directory):
    directory.mkdir()
    process = subprocess.Popen([sys.executable, "-c", PARENT, directory], stdout=subprocess.PIPE)
    with process:
        yield process
        process.kill()


def test_all_servers_end_when_their_parent_is_killed(parent, directory, processes_of, wait_until):
    pids = [int(parent.stdout.readline()) for _ in KINDS]
    folders = [directory / kind.__name__ for kind in KINDS]
    assert all(pid in processes_of(folder) for pid, folder in zip(pids, folders, strict=True))

    parent.send_signal(signal.SIGKILL)
    parent.wait(10)

    wait_until(lambda: not any(processes_of(folder) for folder in folders))
    log = (directory / "PostgresServer" / "postgres.log").read_text()
    assert "received fast shutdown request" in log
    assert "database system is shut down" in log


def test_a_parent_killed_while_the_data_is_made_leaves_nothing_in_the_way(parent, directory, wait_until):
    folder = directory / "PostgresServer"
    wait_until((folder / "initdb" / "data" / "base").exists)
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    assert not (folder / "data").exists()

    with PostgresServer(folder) as server:
        assert server.query("SELECT 1") == "1"


def test_a_child_of_a_dead_parent_does_not_begin():
    wrapper = Path(sys.modules["forge_servers"].__file__).parent / "_bin" / "forge-child"
    done = subprocess.run([wrapper, "1", "15", "/bin/echo", "began"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (127, "")
    assert "the parent 1 is gone" in done.stderr
