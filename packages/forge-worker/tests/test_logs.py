"""Logs of steps: masked, bounded, live, segmented while they grow and joined at the end."""

import asyncio
import resource
import time
import uuid

import pytest

from forge_sdk.errors import TransientError
from forge_sdk.object_storage import S3ObjectStore
from forge_sdk.secrets import Masker, Secret
from forge_worker import log_store, logs
from forge_worker.logs import StepLog, plugin_logger

KEY = "pipeline-logs/run/test/api/unit.log"


@pytest.fixture
def make_log(storage, recorder):
    def make(*, token=7, limit=10_000_000, masker=None, store=None, alone_s=0.0):
        return StepLog(
            store=log_store.LogStore(store or storage, KEY, token, alone_until=time.monotonic() + alone_s),
            run_id=uuid.UUID(int=1),
            step_id=uuid.UUID(int=2),
            live=recorder,
            masker=masker or Masker(),
            limit=limit,
        )

    return make


async def test_a_short_log_is_one_object(make_log, storage):
    async with make_log() as log:
        await log.write(b"one\n")
        log.line("two")
    assert log.stored
    assert await storage.get(KEY, limit=100) == b"one\ntwo\n"
    assert await storage.list(f"{KEY}.part/") == []


async def test_a_short_log_of_a_job_that_nobody_else_can_have_is_one_request(make_log, storage, monkeypatch):
    for name in ("list", "metadata", "put", "put_file", "delete"):
        monkeypatch.delattr(S3ObjectStore, name)
    async with make_log(alone_s=60) as log:
        log.line("one")
    assert log.stored
    assert await storage.get(KEY, limit=100) == b"one\n"


async def test_what_is_there_already_is_looked_at_also_where_nobody_should_have_been(make_log, storage):
    async with make_log(token=9) as successor:
        successor.line("new")
    async with make_log(token=7, alone_s=60) as orphan:
        orphan.line("old")
    assert (orphan.stored, await storage.get(KEY, limit=100)) == (False, b"new\n")
    async with make_log(token=11, alone_s=60) as latest:
        latest.line("latest")
    assert (latest.stored, await storage.get(KEY, limit=100)) == (True, b"latest\n")


async def test_an_empty_log_exists(make_log, storage):
    async with make_log():
        pass
    assert await storage.get(KEY, limit=10) == b""


async def test_segments_while_it_grows(make_log, storage, monkeypatch, eventually):
    monkeypatch.setattr(log_store, "SEGMENT_BYTES", 1000)
    monkeypatch.setattr(log_store, "LARGEST_SEGMENT", 1000)
    text = b"".join(b"line %d\n" % number for number in range(500))
    with pytest.raises(LookupError):
        async with make_log() as log:
            for start in range(0, len(text), 100):
                await log.write(text[start : start + 100])
            segments = await eventually(lambda: _several(storage), "segments")
            assert segments[1] == f"{KEY}.part/7/{1000:020d}"
            assert await storage.get(segments[1], limit=2000) == text[1000:2000]
            raise LookupError
    assert await storage.get(KEY, limit=100_000) == text
    assert await storage.list(f"{KEY}.part/") == []


async def _several(storage):
    segments = await storage.list(f"{KEY}.part/")
    return segments if len(segments) >= 3 else None


async def test_a_quiet_log_gets_its_segment_by_age(make_log, storage, monkeypatch, eventually):
    monkeypatch.setattr(log_store, "SEGMENT_AGE_S", 0.1)
    async with make_log() as log:
        log.line("still here")
        segments = await eventually(lambda: storage.list(f"{KEY}.part/"), "a segment")
        assert await storage.get(segments[0], limit=100) == b"still here\n"


async def test_live_messages_join_without_gap(make_log, storage, recorder, monkeypatch):
    monkeypatch.setattr(logs, "LIVE_BYTES", 10)
    async with make_log() as log:
        await log.write(b"0123456789abcdef\n")
    offset = 0
    for subject, data, headers in recorder.messages:
        assert subject == f"forge.logs.{uuid.UUID(int=1)}.{uuid.UUID(int=2)}"
        assert int(headers["Forge-Offset"]) == offset
        offset += len(data)
    assert offset == 17
    assert recorder.messages[-1][2]["Forge-End"] == "1"


async def test_secrets_are_masked_across_chunks(make_log, storage, recorder):
    masker = Masker()
    masker.register(Secret("hunter2-hunter2"))
    async with make_log(masker=masker) as log:
        for chunk in (b"password hunter2-", b"hunter2 and aHVudGVy", b"Mi1odW50ZXIy\n"):
            await log.write(chunk)
        assert "hunter2" not in log.tail()
    text = await storage.get(KEY, limit=1000)
    assert text == b"password *** and ***\n"
    assert b"hunter2" not in b"".join(data for _, data, _ in recorder.messages)


async def test_a_long_log_is_cut_with_a_notice(make_log, storage):
    async with make_log(limit=1000) as log:
        for _ in range(100):
            await log.write(b"x" * 99 + b"\n")
        log.line("the very last line")
    text = await storage.get(KEY, limit=5000)
    assert text.startswith(b"x" * 99)
    assert text.endswith(b"[log truncated: it is longer than 1000 bytes]\n")
    assert len(text) < 1100
    assert log.tail(1) == "the very last line"


async def test_an_orphan_leaves_the_log_to_its_successor(make_log, storage):
    async with make_log(token=7) as orphan:
        orphan.line("old")
        await storage.put(f"{KEY}.part/9/{0:020d}", b"new\n")
    assert not orphan.stored
    assert await storage.list("pipeline-logs/") == [f"{KEY}.part/9/{0:020d}"]


async def test_an_orphan_does_not_replace_the_whole_log_of_its_successor(make_log, storage):
    async with make_log(token=7) as orphan:
        orphan.line("old")
        async with make_log(token=9) as successor:
            successor.line("new")
    assert (orphan.stored, successor.stored) == (False, True)
    assert await storage.get(KEY, limit=1000) == b"new\n"
    assert await storage.list("pipeline-logs/") == [KEY]


async def test_segments_of_a_dead_predecessor_go(make_log, storage):
    await storage.put(f"{KEY}.part/3/{0:020d}", b"half")
    async with make_log(token=7) as log:
        log.line("whole")
    assert await storage.list("pipeline-logs/") == [KEY]


async def test_no_storage_fails_nothing(make_log):
    class Away:
        async def list(self, prefix):
            raise TransientError("away")

    async with make_log(store=Away()) as log:
        log.line("unheard")
    assert not log.stored


async def test_slow_storage_slows_nothing_down(make_log, storage, monkeypatch):
    reached, go = asyncio.Event(), asyncio.Event()
    put = storage.put

    async def slow(key, data, **values):
        reached.set()
        await go.wait()
        await put(key, data, **values)

    monkeypatch.setattr(storage, "put", slow)
    async with asyncio.timeout(30), make_log(limit=40_000_000) as log:
        for _ in range(30):
            await log.write(b"x" * 999_999 + b"\n")
        await reached.wait()
        go.set()
    assert log.stored
    assert len(await storage.get(KEY, limit=40_000_000)) == 30_000_000
    assert await storage.list(f"{KEY}.part/") == []


async def test_a_full_disk_cuts_the_log_with_a_notice(make_log, storage):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with make_log() as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            for number in range(300):
                await log.write(b"%-999d\n" % number)
            await log._send()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    text = await storage.get(KEY, limit=200_000)
    assert log.stored
    assert text.startswith(b"0 ")
    assert text.endswith(b"[log cut: the worker could not keep more of it: File too large]\n")
    assert 90_000 < len(text) <= 100_000


async def test_a_plugins_logger_writes_to_the_log(make_log, storage):
    async with make_log() as log:
        plugin_logger("pypi", log).warning("index is slow: %d s", 3)
    assert await storage.get(KEY, limit=1000) == b"WARNING pypi: index is slow: 3 s\n"
