"""Logs that are followed while they are written: no byte twice, none left out."""

import asyncio
import contextlib
import uuid

import pytest

from forge_api.database import executions, logs
from forge_api.following.follower import RESTARTED
from forge_sdk.errors import PlatformError, TransientError
from forge_sdk.messaging import LOG_END_HEADER, LOG_OFFSET_HEADER, LOG_TOKEN_HEADER, log_subject
from forge_sdk.models.jobs import Job, JobType
from forge_sdk.storage_keys import LOG_OWNER, log_key, log_segment_key

TOKEN = 7


class Writer:
    """Writes a log as a worker does: live pieces, segments, one object at the end."""

    def __init__(self, services, run_id, step_id, key) -> None:
        self.database, self.step_id = services.database, step_id
        self.storage, self.connection, self.key = services.storage, services.connection, key
        self.subject = log_subject(run_id, step_id)
        self.written, self.token = b"", TOKEN

    async def live(self, data: bytes, *, at: int | None = None) -> None:
        offset = len(self.written) if at is None else at
        await self.connection.publish(self.subject, data, headers=self._headers(offset))
        self.written = self.written[:offset] + data
        await self.connection.flush()

    async def segment(self, start: int, end: int) -> None:
        await self.storage.put(log_segment_key(self.key, self.token, start), self.written[start:end])

    async def unheard(self, data: bytes) -> None:
        start = len(self.written)
        self.written += data
        await self.segment(start, len(self.written))

    async def end(self) -> None:
        await self.hand_back()
        await self.has_status("success")

    async def has_status(self, status: str) -> None:
        async with self.database.transaction() as connection:
            await connection.execute("update step_executions set status = $2 where id = $1", self.step_id, status)

    async def hand_back(self) -> None:
        headers = {**self._headers(len(self.written)), LOG_END_HEADER: "1"}
        await self.connection.publish(self.subject, b"", headers=headers)
        await self.storage.put(self.key, self.written, metadata={LOG_OWNER: str(self.token)})

    def _headers(self, offset: int) -> dict[str, str]:
        return {LOG_TOKEN_HEADER: str(self.token), LOG_OFFSET_HEADER: str(offset)}


@pytest.fixture
async def step(client, create_run, database, make_plan):
    run = await client.create_run(create_run())
    made = make_plan()
    async with database.transaction() as connection:
        await executions.keep_plan(connection, run.id, made)
    return run.id, made.phases[0].tasks[0].steps[0].id


@pytest.fixture
def writer(services, step):
    run_id, step_id = step
    return Writer(services, run_id, step_id, log_key(run_id, "test", "api", "unit"))


@pytest.fixture
async def reader(client, step):
    """What a follower has read so far, and whether the stream has ended."""

    class Reader:
        read, ended = b"", False

        async def has(self, data):
            async with asyncio.timeout(20):
                while self.read != data:
                    assert data.startswith(self.read), self.read
                    await asyncio.sleep(0.01)

        async def end(self):
            await asyncio.wait_for(task, 20)

    found = Reader()

    async def follow():
        async with client.step_log(step[1], follow=True) as content:
            async for chunk in content.iter_any():
                found.read += chunk
        found.ended = True

    task = asyncio.create_task(follow())
    yield found
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def heard(writer):
    """Wait until the follower listens."""
    async with asyncio.timeout(10):
        before = writer.connection.stats["out_msgs"]
        while writer.connection._subs == {} or not any(
            sub.subject == writer.subject for sub in writer.connection._subs.values()
        ):
            await asyncio.sleep(0.01)
        assert writer.connection.stats["out_msgs"] >= before


async def test_a_line_is_there_while_the_step_runs(writer, reader):
    await heard(writer)
    await writer.live(b"one\n")
    await reader.has(b"one\n")
    await writer.live(b"two\n")
    await reader.has(b"one\ntwo\n")
    assert not reader.ended
    await writer.end()
    await reader.end()
    assert reader.read == b"one\ntwo\n"


async def test_segments_come_first_and_overlapping_live_pieces_are_not_repeated(writer, client, step):
    await writer.unheard(b"0123456789")
    await writer.unheard(b"abcdef")
    async with client.step_log(step[1], follow=True) as content, asyncio.timeout(20):
        assert await content.readexactly(16) == b"0123456789abcdef"
        await writer.live(b"efgh", at=14)
        await writer.end()
        assert await content.read() == b"gh"


async def test_a_gap_in_what_is_heard_is_filled_from_segments(writer, reader):
    await heard(writer)
    await writer.live(b"one\n")
    await reader.has(b"one\n")
    start = len(writer.written)
    writer.written += b"two\n"
    await writer.live(b"three\n")
    await writer.segment(start, start + 4)
    await reader.has(b"one\ntwo\n")
    await writer.end()
    await reader.end()
    assert reader.read == b"one\ntwo\nthree\n"


async def test_a_log_that_is_complete_is_sent_whole(writer, client, step):
    writer.written = b"x" * 3_000_000
    await writer.end()
    async with client.step_log(step[1], follow=True) as content, asyncio.timeout(20):
        assert await content.read() == writer.written


async def test_a_task_that_starts_again_begins_its_log_anew_and_says_so(writer, reader):
    await heard(writer)
    await writer.live(b"first try\n")
    await reader.has(b"first try\n")
    await writer.segment(0, 10)
    writer.token, writer.written = TOKEN + 2, b""
    await writer.live(b"second\n")
    await writer.end()
    await reader.end()
    before, _, after = reader.read.partition(b"begins anew\n")
    assert before.startswith(b"first try\n")
    assert after == b"second\n"


async def test_a_log_handed_back_by_its_worker_goes_on_with_the_next_one(writer, reader):
    await heard(writer)
    await writer.live(b"first try\n")
    await reader.has(b"first try\n")
    await writer.hand_back()
    writer.token, writer.written = TOKEN + 1, b""
    await writer.live(b"second, and longer\n")
    await writer.end()
    await reader.end()
    assert reader.read == b"first try\n" + RESTARTED + b"second, and longer\n"


async def test_a_reader_who_came_late_sees_all_of_the_next_try(writer, client, step):
    await writer.unheard(b"first try\n")
    async with client.step_log(step[1], follow=True) as content, asyncio.timeout(20):
        assert await content.readline() == b"first try\n"
        writer.token, writer.written = TOKEN + 1, b""
        await writer.live(b"second, and longer\n")
        await writer.end()
        assert await content.read() == RESTARTED + b"second, and longer\n"


async def test_what_a_lost_worker_had_stored_can_be_read(writer, client, step):
    await writer.unheard(b"one\n")
    await writer.unheard(b"two\n")
    with pytest.raises(PlatformError, match="not there yet"):
        async with client.step_log(step[1]):
            pass
    await writer.has_status("failed")
    async with client.step_log(step[1]) as content, asyncio.timeout(20):
        assert await content.read() == b"one\ntwo\n"


async def test_of_a_lost_worker_that_had_stored_nothing_that_is_said(writer, client, step):
    await writer.has_status("failed")
    with pytest.raises(PlatformError, match="its worker was lost"):
        async with client.step_log(step[1]):
            pass


async def test_a_platform_that_stops_cuts_the_stream(writer, client, step, services):
    await writer.unheard(b"one\n")
    with pytest.raises(TransientError, match="not completed"):
        async with client.step_log(step[1], follow=True) as content, asyncio.timeout(20):
            assert await content.readline() == b"one\n"
            services.feeds.close()
            await content.read()


async def test_a_reader_who_leaves_leaves_nothing_behind(writer, client, step):
    def subscriptions():
        return [sub for sub in writer.connection._subs.values() if sub.subject == writer.subject]

    async with client.step_log(step[1], follow=True):
        await heard(writer)
        assert subscriptions()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while subscriptions():
                await asyncio.sleep(0.05)
    assert not subscriptions()


async def test_the_log_of_a_job_without_steps_is_listed_and_followed(services, client, step, database):
    run_id, _ = step
    job = Job(
        id=uuid.uuid4(),
        type=JobType.DISCOVERY,
        run_id=run_id,
        repository="acme/shop",
        clone_url="https://github.com/acme/shop.git",
        commit_sha="a" * 40,
    )
    async with database.transaction() as connection:
        await logs.expect_job_log(connection, job, "repository", "discovery")
    [listed] = (await client.run(run_id)).logs
    assert (listed.id, listed.phase, listed.step) == (job.id, "discovery", "discovery")
    writer = Writer(services, run_id, job.id, log_key(run_id, "discovery", "repository", "discovery"))
    writer.written = b"[forge] found 2 projects\n"
    await writer.end()
    async with client.step_log(job.id, follow=True) as content, asyncio.timeout(20):
        assert await content.read() == writer.written


async def test_what_has_no_log_is_not_found(client):
    with pytest.raises(PlatformError, match="no step or job has this id"):
        async with client.step_log(uuid.uuid4(), follow=True):
            pass
