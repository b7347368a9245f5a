"""Two processes on one database: one engine works, the other takes over."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from forge_api.database import runs
from forge_api.database.notifications import Notifications
from forge_api.engine.leadership import Leadership


@pytest.fixture
def process(platform, database_settings):
    """An API process without its HTTP server."""

    @asynccontextmanager
    async def process():
        async with platform.new_engine(leads=False) as engine, AsyncExitStack() as stack:
            notifications = Notifications(database_settings)
            leadership = Leadership(database_settings, engine, notifications)
            for work in (notifications.run(), leadership.run()):
                task = asyncio.create_task(work)
                stack.push_async_callback(asyncio.wait, {task})
                stack.callback(task.cancel)
            yield engine

    return process


async def ended(platform, run_id):
    """The status in which the run ends, within ten seconds."""

    async def status():
        found = (await platform.view(run_id)).status
        return found if found.finished else None

    return await platform.until(status, 10)


async def test_one_leads_and_the_other_takes_over(platform, process, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    platform.worker.hold = {"ci check/api"}
    async with AsyncExitStack() as first_process:
        first = await first_process.enter_async_context(process())
        await platform.until(lambda: first.leads)
        async with process() as second:
            run_id = await platform.create_run()
            await platform.running("ci check/api")
            assert not second.leads
            await first_process.aclose()
            await platform.until(lambda: second.leads)
            platform.worker.hold.clear()
            assert await ended(platform, run_id) == "success"
    assert platform.worker.executed == ["discovery", "ci check/api"]


async def test_what_another_process_stores_is_carried_out_at_once(platform, process):
    async with process() as engine:
        await platform.until(lambda: engine.leads)
        run_id = await platform.create_run()
        assert await ended(platform, run_id) == "success"
    assert platform.worker.executed == ["discovery"]


async def test_a_cancel_that_another_process_stores_reaches_the_workers(platform, process, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    platform.worker.hold = {"ci check/api"}
    async with process() as engine:
        await platform.until(lambda: engine.leads)
        run_id = await platform.create_run()
        await platform.running("ci check/api")
        async with platform.database.transaction() as connection:
            await runs.request_cancel(connection, run_id)
        assert await ended(platform, run_id) == "cancelled"
    # The job was held: only the cancel can have ended it.
    assert platform.worker.hold
    assert not platform.worker.running
