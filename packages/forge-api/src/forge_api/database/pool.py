"""The pool of connections, with the two corrections that it needs under load."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, LiteralString, Self, TypeVar

import asyncpg
import orjson

from forge_api.database.errors import translated, translation
from forge_api.database.settings import connect_arguments
from forge_sdk import configuration as settings
from forge_sdk.errors import PlatformError, TransientError
from forge_sdk.retry import RetryPolicy

Result = TypeVar("Result")
Connection = Any
"""A pooled connection: `asyncpg.pool.PoolConnectionProxy`, which has no types of its own."""
ACQUIRE_TIMEOUT_S = 15.0
RELEASE_TIMEOUT_S = 10.0
"""For the server to confirm that a cancelled statement has ended; else the connection is given up."""
CLOSE_TIMEOUT_S = 10.0
READ_RETRY = RetryPolicy(attempts=4, base_delay=0.1, max_delay=2.0, jitter=0.1)


class Database:
    """PostgreSQL for the API. Errors are `PlatformError` (`forge_api.database.errors`).

    No session state may be set on its connections (SET, LISTEN, session advisory locks): they are not reset.
    """

    def __init__(self, pool: Any, size: int) -> None:
        self._pool = pool
        # The pool hands a free connection to whoever comes first, not to whoever waits longest.
        self._turn = asyncio.Semaphore(size)

    @classmethod
    async def connect(cls, configuration: settings.Database) -> Self:
        """A pool of at most `configuration.pool_size` connections; the first is opened now."""
        with translated():
            pool = await asyncpg.create_pool(
                **connect_arguments(configuration, pooled=True),
                min_size=1,
                max_size=configuration.pool_size,
                init=_use_json,
                reset=_no_reset,
            )
        return cls(pool, configuration.pool_size)

    async def close(self) -> None:
        """Wait shortly for what is running, then close all connections."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection outside a transaction."""
        return _Acquired(self._pool, self._turn)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection within a transaction (read committed), committed at the end, rolled back on any exception."""
        async with self.connection() as connection, _Transaction(connection.transaction()):
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A connection that sees one state of the database, for reads by several statements."""
        async with (
            self.connection() as connection,
            _Transaction(connection.transaction(isolation="repeatable_read", readonly=True)),
        ):
            yield connection

    async def read(self, query: Callable[[Connection], Awaitable[Result]]) -> Result:
        """The result of `query` on a snapshot, tried again when the connection is lost. It must not write."""

        async def once() -> Result:
            async with self.snapshot() as connection:
                return await query(connection)

        return await READ_RETRY.call(once)

    async def look(self, query: Callable[[Connection], Awaitable[Result]]) -> Result:
        """As `read`, for a `query` that is one statement: it needs no transaction, whose two round trips are saved."""

        async def once() -> Result:
            async with self.connection() as connection:
                return await query(connection)

        return await READ_RETRY.call(once)

    async def fetch_value(self, query: LiteralString, *arguments: object) -> Any:
        """The first column of the first row of a reading statement, tried again when the connection is lost."""

        async def once() -> Any:
            async with self.connection() as connection:
                return await connection.fetchval(query, *arguments)

        return await READ_RETRY.call(once)

    async def fetch_row(self, query: LiteralString, *arguments: object) -> Any:
        """The first row of a reading statement, or nothing, tried again when the connection is lost."""

        async def once() -> Any:
            async with self.connection() as connection:
                return await connection.fetchrow(query, *arguments)

        try:
            return await once()
        except TransientError:
            return await READ_RETRY.call(once)


class _Acquired:
    """Every request makes one: a class, since a generator and its context manager take twice the time."""

    __slots__ = ("_connection", "_pool", "_turn")

    def __init__(self, pool: Any, turn: asyncio.Semaphore) -> None:
        self._pool, self._turn = pool, turn

    async def __aenter__(self) -> Connection:
        if self._turn.locked():
            await self._wait()
        else:
            await self._turn.acquire()
        try:
            # One is free, and opening it has a time-out of its own; another one would cost a task for each request.
            with translated():
                self._connection = await self._pool.acquire()
        except BaseException:
            self._turn.release()
            raise
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with translated():
                await self._pool.release(self._connection, timeout=RELEASE_TIMEOUT_S)
        except PlatformError:
            if not isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._turn.release()
        found = translation(error) if error is not None else None
        if found is not None:
            raise found from error

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                await self._turn.acquire()
        except TimeoutError as error:
            raise TransientError("the database is overloaded: try again", component="database") from error


class _Transaction:
    """A transaction of asyncpg, whose failure to roll back does not take the place of a cancellation."""

    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    async def __aenter__(self) -> None:
        await self._transaction.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._transaction.__aexit__(kind, error, trace)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            # The connection is lost, and the transaction with it.
            if not isinstance(error, asyncio.CancelledError):
                raise


async def wait_until_reachable(configuration: settings.Database, *, timeout_s: float) -> Database:
    """The database, as soon as it answers; the last error where it does not within `timeout_s` seconds."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            return await Database.connect(configuration)
        except PlatformError as error:
            if not error.transient or asyncio.get_running_loop().time() >= deadline:
                raise
            await asyncio.sleep(0.1)


async def _no_reset(connection: Any) -> None:
    """Nothing: the usual reset costs one more round trip for each request, and there is no state to reset."""


async def _use_json(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=_encode, decoder=orjson.loads, schema="pg_catalog")


def _encode(value: Any) -> str:
    return orjson.dumps(value).decode()
