"""What all four servers promise."""

import asyncio
import os
import signal
import socket
import threading

import pytest

from forge_servers import DirectoryInUseError, NatsServer, PortTakenError, PostgresServer, ServerError, ports


async def test_a_server_answers_once_started_and_leaves_no_process_when_stopped(kind, directory, processes_of):
    server = kind(directory)
    async with server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5):
            assert server.pid in processes_of(directory)
    assert (server.pid, processes_of(directory)) == (None, [])
    assert not ports.is_taken(server.port)


async def test_a_stopped_server_ended_by_itself(kind, directory):
    async with kind(directory) as server:
        ended = asyncio.create_task(server.wait())
    assert await asyncio.wait_for(ended, 10) == 0


async def test_waiting_tells_how_a_server_died_and_it_starts_again_on_the_same_port(kind, directory):
    async with kind(directory) as server:
        port = server.port
        ended = asyncio.create_task(server.wait())
        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.wait_for(ended, 10) == -signal.SIGKILL
        await server.start()
        assert server.port == port
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


async def test_a_wait_that_is_cancelled_leaves_the_server_running(kind, directory):
    async with kind(directory) as server:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.wait(), 0.05)
        assert server.pid is not None


def test_a_server_outlives_the_thread_that_started_it(kind, directory):
    server = kind(directory)
    starter = threading.Thread(target=server.start_blocking)
    starter.start()
    starter.join(60)
    try:
        assert server.wait_blocking(0.3) is None
    finally:
        server.stop_blocking()


async def test_a_cancelled_start_leaves_no_process(kind, directory, processes_of, wait_until, monkeypatch):
    server = kind(directory)
    # Never ready: the cancel must come while the start is under way.
    monkeypatch.setattr(server, "_problem", lambda pid: "it is asleep")
    starting = asyncio.create_task(server.start())
    await asyncio.to_thread(wait_until, lambda: len(processes_of(directory)) > 0)
    starting.cancel()
    await asyncio.wait([starting])
    assert processes_of(directory) == []


async def test_it_says_why_it_can_not_be_used(kind, directory):
    server = kind(directory)
    assert await server.problem() == "it does not run"
    async with server:
        assert await server.problem() is None
    assert await server.problem() == "it does not run"


def test_a_stop_is_harmless_before_a_start_and_when_repeated(kind, directory):
    server = kind(directory)
    server.stop_blocking()
    with server:
        server.stop_blocking()
        server.stop_blocking()
    assert server.pid is None


def test_a_hung_server_is_killed_after_the_grace(kind, directory, processes_of):
    server = kind(directory, stop_timeout=0.3)
    server.start_blocking()
    os.kill(server.pid, signal.SIGSTOP)
    server.stop_blocking()
    assert server.wait_blocking(0) == -signal.SIGKILL


def test_two_servers_of_a_kind_run_at_once(kind, server_directory):
    with kind(server_directory("a")) as one, kind(server_directory("b")) as other:
        assert one.port != other.port
        assert one.pid != other.pid


def test_a_given_port_is_used(kind, directory):
    port = ports.free_port()
    with kind(directory, port) as server:
        assert server.port == port


def test_a_taken_port_is_refused_and_its_holder_named(kind, directory):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"port {number} .* taken by process {os.getpid()} \(.*pytest"):
            kind(directory, number).start_blocking()


def test_a_chosen_port_that_is_snatched_away_is_replaced(kind, directory, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        snatched = taken.getsockname()[1]
        offered = iter([snatched])
        really_free = ports.free_port
        monkeypatch.setattr(ports, "free_port", lambda: next(offered, None) or really_free())
        with kind(directory) as server:
            assert server.port != snatched


def test_a_port_that_is_offered_twice_is_used_once(directory, monkeypatch):
    really_free = ports.free_port
    number = really_free()
    offered = iter([number, number])
    monkeypatch.setattr(ports, "free_port", lambda: next(offered, None) or really_free())
    with NatsServer(directory) as server:
        assert server.port != server.monitoring_port


@pytest.mark.parametrize("number", [0, -1, 65536])
def test_a_number_that_is_no_port_is_refused(kind, directory, number):
    with pytest.raises(ServerError, match="between 1 and 65535"):
        kind(directory, number)


def test_a_directory_serves_one_server_at_a_time(kind, directory):
    with (
        kind(directory) as server,
        pytest.raises(DirectoryInUseError, match=f"already runs on .* as process {server.pid} "),
    ):
        kind(directory, lock_timeout=0.1).start_blocking()


def test_a_running_server_is_not_started_again(kind, directory):
    with kind(directory) as server, pytest.raises(ServerError, match="already runs"):
        server.start_blocking()


def test_a_server_that_is_not_ready_in_time_is_reported_with_its_log(directory, processes_of):
    server = PostgresServer(directory, durable=False, start_timeout=0)
    with pytest.raises(
        ServerError, match=r"not ready after 0 s: it accepts no connections. The end of .*postgres\.log"
    ):
        server.start_blocking()
    assert processes_of(directory) == []


def test_a_server_that_ends_at_its_start_is_reported_with_its_log(directory):
    server = PostgresServer(directory, durable=False, settings={"no_such_setting": "1"})
    with pytest.raises(ServerError, match=r"ended with 1 at its start(.|\n)*unrecognized configuration parameter"):
        server.start_blocking()


def test_a_directory_that_cannot_be_made_is_reported(kind, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="use another directory"):
        kind(tmp_path / "file" / "server").start_blocking()


def test_only_the_owner_may_look_into_the_directory(kind, directory):
    with kind(directory) as server:
        assert directory.stat().st_mode & 0o777 == 0o700
        assert server.log_file.stat().st_mode & 0o777 == 0o600


def test_a_long_log_is_put_aside(directory, kind):
    server = kind(directory)
    directory.mkdir(mode=0o700)
    with server.log_file.open("wb") as log:
        log.truncate(11 * 2**20)
    with server:
        assert server.log_file.stat().st_size < 2**20
    assert server.log_file.with_name(f"{server.log_name}.1").exists()


def test_a_taken_port_is_noticed_before_anything_is_made(directory):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(PortTakenError):
            PostgresServer(directory, taken.getsockname()[1]).start_blocking()
        assert not (directory / "data").exists()
