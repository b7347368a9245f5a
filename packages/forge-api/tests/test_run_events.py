"""Server-sent events of a run."""

import asyncio
import uuid

import orjson
import pytest

from forge_api.database import executions, logs, run_view
from forge_api.database.executions import TaskEnd
from forge_sdk.errors import PlatformError
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.statuses import ExecutionStatus, RunStatus
from forge_sdk.storage_keys import log_key

FAILURE = ErrorDetail(code="step_failed", message="exit code 1").model_dump(mode="json")

pytestmark = pytest.mark.usefixtures("listening")


@pytest.fixture
async def run(client, create_run):
    return await client.create_run(create_run())


@pytest.fixture
def change(database):
    async def change(operation, *arguments):
        async with database.transaction() as connection:
            return await operation(connection, *arguments)

    return change


@pytest.fixture
async def states(client, run):
    """The states that a watcher has seen, filled while the test goes on."""
    seen = []

    async def watch():
        async for state in client.run_events(run.id):
            seen.append(state)  # noqa: PERF401 - the test looks at it meanwhile

    task = asyncio.create_task(watch())
    yield seen
    task.cancel()
    await asyncio.wait({task})


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_first_event_is_the_whole_run_and_changes_follow(client, run, change, states, make_plan):
    await until(lambda: states)
    assert states[0] == await client.run(run.id)
    await change(executions.start, run.id)
    await until(lambda: states[-1].status is RunStatus.RUNNING)
    made = make_plan()
    await change(executions.keep_plan, run.id, made)
    await until(lambda: states[-1].phases)
    await change(executions.start_group, run.id, 1)
    await until(lambda: states[-1].phases[0].status is ExecutionStatus.RUNNING)
    now = run.created_at
    await change(executions.end_task, made.phases[0].tasks[0].id, TaskEnd(ExecutionStatus.SUCCESS, (now, now), ()))
    await until(lambda: states[-1].phases[0].tasks[0].status is ExecutionStatus.SUCCESS)
    await change(executions.finish, run.id, RunStatus.SUCCESS, None, [])
    await until(lambda: states[-1].status is RunStatus.SUCCESS)
    assert states[-1] == await client.run(run.id)


async def test_the_stream_of_a_run_that_has_ended_is_one_state(client, run, change):
    await change(executions.finish, run.id, RunStatus.FAILED, None, [])
    async with asyncio.timeout(10):
        assert [state.status async for state in client.run_events(run.id)] == [RunStatus.FAILED]


async def test_changes_are_told_as_events_of_what_changed(http, bearer, run, change, make_plan):
    await change(executions.keep_plan, run.id, make_plan())
    async with http.get(f"/v1/runs/{run.id}/events", headers=bearer()) as answer:
        assert answer.content_type == "text/event-stream"
        lines = []

        async def read(name):
            async with asyncio.timeout(10):
                while f"event: {name}" not in lines:
                    lines.append((await answer.content.readline()).decode().strip())

        await read("state")
        await change(executions.start_group, run.id, 1)
        await read("phase")
        await change(executions.start, run.id)
        await read("run")
        assert lines.count("event: state") == 1


async def test_a_run_that_does_not_exist_has_no_events(client):
    with pytest.raises(PlatformError, match="does not exist"):
        async for _ in client.run_events(uuid.uuid4()):
            pass


async def test_watchers_of_one_run_share_one_reader_and_leave_nothing(services, client, run):
    async def first():
        return await anext(client.run_events(run.id))

    async with asyncio.timeout(10):
        seen = await asyncio.gather(*(first() for _ in range(20)))
    assert {state.id for state in seen} == {run.id}
    await until(lambda: not services.feeds._feeds)
    assert not services.feeds._feeds


async def test_watchers_are_let_go_when_the_process_stops(services, client, run, states):
    await until(lambda: states)
    services.feeds.close()
    async with asyncio.timeout(10):
        assert not [state async for state in client.run_events(run.id)]


async def test_a_lost_connection_of_the_notifications_is_made_again(database, notifications, run, change, states):
    await until(lambda: states)
    lost = []
    notifications.add(lambda channel, payload: None, lambda: lost.append(True))
    async with database.connection() as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
            "and datname = current_database() and application_name = 'forge-api-notifications'"
        )
    await change(executions.start, run.id)
    await until(lambda: lost and states[-1].status is RunStatus.RUNNING)
    assert len(lost) == 1
    assert states[-1].status is RunStatus.RUNNING


async def test_the_quick_way_of_reading_a_run_gives_the_same(database, run, change, make_plan):
    await change(executions.keep_plan, run.id, make_plan())
    await change(executions.start_group, run.id, 1)
    whole = await database.read(lambda connection: run_view.find(connection, run.id))
    assert await run_view.read(database, run.id) == whole
    assert whole.phases[0].tasks[0].steps[0].name == "unit"


def shape(value):
    """A document with the kinds of its values in their place: every field, at every depth."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


async def test_what_the_database_writes_has_every_field_of_the_models(database, run, change, make_plan):
    await change(executions.keep_plan, run.id, make_plan())
    await change(executions.start_group, run.id, 1)
    async with database.transaction() as connection:
        await logs.store_job_log(connection, uuid.uuid4(), run.id, log_key(run.id, "discovery", "-", "discovery"))
        for table in ("step_executions", "task_executions"):
            await connection.execute(f"update {table} set started_at = now(), error = $1", FAILURE)
    document = orjson.loads(await run_view.document(database, run.id))
    expected = orjson.loads((await run_view.read(database, run.id)).model_dump_json(by_alias=True))
    assert shape(document) == shape(expected)
    assert document["logs"][0]["phase"] == "discovery"
    assert document["phases"][0]["tasks"][0]["steps"][0]["error"] == FAILURE
