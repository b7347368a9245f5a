"""Cancel keys: known at the start, heard live, found again after an interruption; without a request for each job."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import nats
import pytest

from forge_sdk.messaging import CONTROL_BUCKET, cancel_key, job_cancel_key
from forge_worker import cancellation
from forge_worker.cancellation import CancellationWatch
from forge_worker.connection import bucket


class Gate:
    """A way to the server that can be cut."""

    def __init__(self, host, port):
        self._target, self._open, self._writers = (host, port), True, set()

    @asynccontextmanager
    async def serving(self):
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as server:
            yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self.cut()

    def cut(self):
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    def open(self):
        self._open = True

    async def _accept(self, reader, writer):
        writers = [writer]
        try:
            if self._open:
                there, back = await asyncio.open_connection(*self._target)
                writers.append(back)
                self._writers.update(writers)
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
        except OSError:
            pass
        finally:
            for each in writers:
                each.close()


async def _copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class CountingBucket:
    """A bucket that counts its reads."""

    def __init__(self, found):
        self._found, self.reads = found, 0

    async def get(self, key):
        self.reads += 1
        return await self._found.get(key)


@pytest.fixture
async def gate(platform):
    address = urlsplit(platform.url)
    gate = Gate(address.hostname, address.port)
    async with gate.serving() as gate.url:
        yield gate


@pytest.fixture
async def connection(gate):
    async def ignore(error):
        """The connection is cut on purpose."""

    client = await nats.connect(gate.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1, error_cb=ignore)
    yield client
    await client.close()


@pytest.fixture
def keys(connection):
    return CountingBucket(bucket(connection, CONTROL_BUCKET))


@pytest.fixture
async def watch(connection, keys, eventually):
    watch = CancellationWatch(connection, keys)
    async with watch.running():
        await eventually(lambda: watch._is_listed, "the list of keys")
        yield watch


async def test_a_job_that_nobody_cancelled_costs_no_read(platform, watch, keys):
    assert not await watch.is_cancelled(platform.job())
    assert keys.reads == 0


async def test_a_key_from_before_the_start_is_known(platform, connection, keys, eventually):
    job, other = platform.job(), platform.job()
    await platform.cancel(job_cancel_key(job.run_id, job.id))
    watch = CancellationWatch(connection, keys)
    async with watch.running():
        # Whether the list is there already or not.
        assert await watch.is_cancelled(job)
        await eventually(lambda: watch._is_listed, "the list of keys")
        assert await watch.is_cancelled(job)
        assert not await watch.is_cancelled(other)


async def test_a_key_is_heard_by_the_running_job_and_known_to_the_next(platform, watch, eventually):
    job, sibling, stopped = platform.job(), platform.job(), []
    with watch.watching(job, lambda: stopped.append(job.id)), watch.watching(sibling, lambda: stopped.append("other")):
        await platform.cancel(cancel_key(job.run_id))
        await eventually(lambda: stopped, "the job is stopped")
    assert stopped == [job.id]
    assert await watch.is_cancelled(platform.job(run_id=job.run_id))


async def test_a_key_that_was_removed_cancels_nothing(platform, watch, connection, eventually):
    job = platform.job()
    await platform.cancel(cancel_key(job.run_id))
    await eventually(lambda: watch.is_cancelled(job), "the key is known")
    await bucket(platform.connection, CONTROL_BUCKET).delete(cancel_key(job.run_id))
    assert not await watch.is_cancelled(job)
    await connection.flush()
    assert not await watch.is_cancelled(job)


async def test_a_key_that_was_written_while_the_worker_was_away(platform, watch, gate, connection, eventually):
    running, later, stopped = platform.job(), platform.job(), []
    with watch.watching(running, lambda: stopped.append(running.id)):
        gate.cut()
        await eventually(lambda: not connection.is_connected, "the connection is lost")
        for job in (running, later):
            await platform.cancel(cancel_key(job.run_id))
        gate.open()
        await eventually(lambda: connection.is_connected, "the connection is back")
        assert await watch.is_cancelled(later)
        await watch.reread()
        assert stopped == [running.id]
    assert await watch.is_cancelled(later)
    assert not await watch.is_cancelled(platform.job())


async def test_without_a_whole_list_the_keys_of_a_job_are_read(platform, connection, keys, monkeypatch, eventually):
    monkeypatch.setattr(cancellation, "LARGEST_LIST", 0)
    job = platform.job()
    await platform.cancel(cancel_key(job.run_id))
    watch = CancellationWatch(connection, keys)
    async with watch.running():
        assert await watch.is_cancelled(job)
        assert not await watch.is_cancelled(platform.job())
    assert keys.reads == 4
