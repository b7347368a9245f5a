"""The lease of the engine: a lock of the database that one process holds for as long as its connection lives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from forge_api.database.errors import translated
from forge_api.database.settings import connect_arguments
from forge_sdk.configuration import Database

ENGINE_KEY = 0x656E6769
CHECK_S = 2.0
CHECK_TIMEOUT_S = 5.0
KEEPALIVE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""So that the server gives up the lock of a machine that is gone."""
_TRY = "select pg_try_advisory_lock($1)"


class Lease:
    """Held by one process of a database at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def lost(self) -> None:
        """Returns when the lease is held no longer."""
        await until_lost(self._connection, CHECK_S)


async def until_lost(connection: Any, check_s: float) -> None:
    """Returns when a connection of asyncpg is lost; one that was cut silently is found by asking every `check_s`."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    while not connection.is_closed():
        with suppress(TimeoutError):
            async with asyncio.timeout(check_s):
                await lost.wait()
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await connection.execute("select 1")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return


@asynccontextmanager
async def try_lease(configuration: Database, key: int = ENGINE_KEY) -> AsyncIterator[Lease | None]:
    """The lease, given back at the end; nothing where another process holds it. Transient error without a database."""
    arguments = connect_arguments(configuration)
    arguments["server_settings"] |= {**KEEPALIVE, "application_name": "forge-api-engine"}
    with translated():
        connection = await asyncpg.connect(**arguments)
    try:
        with translated():
            held = await connection.fetchval(_TRY, key)
        yield Lease(connection) if held else None
    finally:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=CHECK_TIMEOUT_S)
