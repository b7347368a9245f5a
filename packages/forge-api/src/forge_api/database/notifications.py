"""Notifications of PostgreSQL: one listening connection for the process, outside the pool, opened again when it is lost."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg

from forge_api.database.lease import until_lost
from forge_api.database.settings import connect_arguments
from forge_sdk.cancellation import pause
from forge_sdk.configuration import Database
from forge_sdk.logging import get_logger

RUNS, PLANS = "forge_runs", "forge_plans"
"""Channels: ids of runs that changed; `run:<id>`, `cancel:<id>`, `deployment:<id>` for the engine."""
CHECK_S = 10.0
CHECK_TIMEOUT_S = 5.0
RETRY_S = 0.5
Listener = Callable[[str, str], None]
_logger = get_logger("forge_api.notifications")


class Notifications:
    """Calls its listeners with channel and payload, on the loop; `lost` after a gap in which some were missed."""

    def __init__(self, configuration: Database) -> None:
        self._configuration = configuration
        self._listeners: dict[Listener, Callable[[], None]] = {}
        self.ready = asyncio.Event()

    def add(self, listener: Listener, lost: Callable[[], None]) -> Callable[[], None]:
        """Register a listener; what is returned removes it."""
        self._listeners[listener] = lost
        return lambda: self._listeners.pop(listener, None) and None

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _logger.warning("notifications_lost", error=f"{type(error).__name__}: {error}")
            await pause(RETRY_S)

    async def _listen(self) -> None:
        arguments = connect_arguments(self._configuration)
        arguments["server_settings"]["application_name"] = "forge-api-notifications"
        connection = await asyncpg.connect(**arguments)
        try:
            for channel in (RUNS, PLANS):
                await connection.add_listener(channel, self._notified)
            for lost in list(self._listeners.values()):
                lost()
            self.ready.set()
            await until_lost(connection, CHECK_S)
        finally:
            self.ready.clear()
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=CHECK_TIMEOUT_S)

    def _notified(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        del connection, pid
        for listener in list(self._listeners):
            listener(channel, payload)
