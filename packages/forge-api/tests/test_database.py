import asyncio

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_api.database import audit, outbox, tokens
from forge_api.database.errors import constraint_of
from forge_api.database.migrate import Migration, migrate, packaged
from forge_api.database.origin import PLATFORM, Origin
from forge_api.database.pool import Database
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError, TransientError
from forge_sdk.identifiers import uuid7

ORIGIN = Origin("alice", "request-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
FIRST = Migration(1, "first", "create table things (id integer primary key)")
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=8)
SECOND = Migration(2, "second", "alter table things add column name text")


@pytest.fixture
def empty_settings(postgres_server, database_settings):
    name = f"empty_{uuid7().hex}"
    postgres_server.create_database(name)
    yield database_settings.model_copy(update={"name": name})
    postgres_server.drop_database(name)


async def test_migrations_are_applied_once(empty_settings):
    assert [migration.version for migration in await migrate(empty_settings)] == [
        migration.version for migration in packaged()
    ]
    assert await migrate(empty_settings) == []


async def test_replicas_that_start_together_migrate_once(empty_settings):
    applied = await asyncio.gather(*(migrate(empty_settings, [FIRST, SECOND]) for _ in range(4)))
    assert sorted(len(done) for done in applied) == [0, 0, 0, 2]


async def test_a_later_migration_keeps_the_data(empty_settings, postgres_server):
    await migrate(empty_settings, [FIRST])
    postgres_server.query("insert into things values (7)", empty_settings.name)
    assert await migrate(empty_settings, [FIRST, SECOND]) == [SECOND]
    assert postgres_server.query("select id from things", empty_settings.name) == "7"


async def test_a_changed_migration_is_refused(empty_settings):
    await migrate(empty_settings, [FIRST])
    with pytest.raises(ConfigurationError, match="0001_first of the database differs"):
        await migrate(empty_settings, [Migration(1, "first", FIRST.sql + " ")])


async def test_a_database_of_a_newer_version_is_refused(empty_settings):
    await migrate(empty_settings, [FIRST, SECOND])
    with pytest.raises(ConfigurationError, match="0002_second, which this version of forge-api does not know"):
        await migrate(empty_settings, [FIRST])


async def test_a_migration_that_fails_leaves_nothing_behind(empty_settings):
    broken = Migration(2, "broken", "create table halves (id integer); select 1 / 0")
    with pytest.raises(PlatformError):
        await migrate(empty_settings, [FIRST, broken])
    assert await migrate(empty_settings, [FIRST, SECOND]) == [SECOND]


async def test_a_database_that_is_away_is_a_transient_error(database_settings, unused_port):
    with pytest.raises(TransientError):
        await Database.connect(database_settings.model_copy(update={"port": unused_port}))


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_a_transaction_that_fails_writes_nothing(database):
    with pytest.raises(RuntimeError):
        async with database.transaction() as connection:
            await outbox.record(connection, "x", "y", {})
            raise RuntimeError
    assert await database.fetch_value("select count(*) from event_outbox") == 0


async def test_more_callers_than_connections_are_all_served(database):
    counts = await asyncio.gather(*(database.fetch_value("select $1::integer", number) for number in range(60)))
    assert counts == list(range(60))


async def test_reads_survive_lost_connections(database, postgres_server, database_settings):
    await database.fetch_value("select 1")
    postgres_server.query(
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database_settings.name}'"
    )
    assert await database.fetch_value("select 2") == 2


@pytest.mark.parametrize("begin", ["transaction", "snapshot", "connection"])
async def test_a_cancellation_stays_one_where_the_connection_is_lost_with_it(database, begin):
    begun = asyncio.Event()

    async def work() -> None:
        async with getattr(database, begin)() as connection:
            begun.set()
            try:
                await connection.execute("select pg_sleep(60)")
            finally:
                connection.terminate()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await database.fetch_value("select 1") == 1


async def test_a_violated_constraint_is_a_conflict_that_names_it(database):
    insert = "insert into plugin_sets (service) values ('worker')"
    async with database.transaction() as connection:
        await connection.execute(insert)
    with pytest.raises(PlatformError) as failure:
        async with database.transaction() as connection:
            await connection.execute(insert)
    assert failure.value.code is ErrorCode.CONFLICT
    assert constraint_of(failure.value) == "plugin_sets_pkey"


async def test_json_comes_back_as_it_was_written(database):
    value = {"a": [1, "é", None, {"b": 1.5}]}
    assert await database.fetch_value("select $1::jsonb", value) == value


async def record(database, count):
    for number in range(count):
        async with database.transaction() as connection:
            await audit.record(connection, ORIGIN, "run.created", f"run/{number}", after={"number": number})


async def test_the_audit_chain_verifies(database):
    await record(database, 5)
    async with database.connection() as connection:
        assert await audit.verify(connection) is None
        row = await connection.fetchrow("select * from audit_events where sequence = 2")
    assert (row["actor"], row["request_id"], row["trace_id"]) == ("alice", "request-1", "a" * 32)


@given(
    texts=st.lists(TEXT, min_size=4, max_size=4),
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=12,
    ),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_hashes_as_auditors_do(database, texts, value):
    actor, action, subject, request_id = texts
    async with database.transaction() as connection:
        await audit.record(connection, Origin(actor, request_id), action, subject, before={"é": value}, after=None)
        await audit.record(connection, PLATFORM, action, subject, after={"b": 1, "a": value, "ab": [value]})
        assert await audit.verify(connection) is None


async def test_concurrent_audit_events_form_one_chain(database):
    await asyncio.gather(*(record(database, 4) for _ in range(4)))
    async with database.connection() as connection:
        assert await audit.verify(connection) is None
        assert await connection.fetchval("select max(sequence) from audit_events") == 16


@pytest.mark.parametrize(
    "statement",
    ["update audit_events set actor = 'mallory'", "delete from audit_events", "truncate audit_events"],
)
async def test_audit_events_cannot_be_changed(database, statement):
    await record(database, 1)
    with pytest.raises(PlatformError) as failure:
        async with database.transaction() as connection:
            await connection.execute(statement)
    assert isinstance(failure.value.__cause__, asyncpg.InsufficientPrivilegeError)


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_events set actor = 'mallory' where sequence = 3",
        "update audit_events set after = '{\"number\": 9}' where sequence = 3",
        "delete from audit_events where sequence = 3",
    ],
)
async def test_tampering_past_the_triggers_is_found(database, statement):
    await record(database, 5)
    async with database.transaction() as connection:
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(statement)
    async with database.connection() as connection:
        assert await audit.verify(connection) == 3


async def test_a_lower_token_is_stale(database):
    job = uuid7()
    async with database.transaction() as connection:
        await tokens.require_newest(connection, job, 4)
        await tokens.require_newest(connection, job, 4)
        await tokens.require_newest(connection, job, 9)
    with pytest.raises(PlatformError) as failure:
        async with database.transaction() as connection:
            await tokens.require_newest(connection, job, 8)
    assert failure.value.code is ErrorCode.STALE_TOKEN
