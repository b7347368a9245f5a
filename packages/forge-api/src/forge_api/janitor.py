"""Rows that nobody needs any more are deleted."""

from forge_api.database import idempotency, rate_limits
from forge_api.database.pool import Database
from forge_sdk.cancellation import pause
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger

INTERVAL_S = 600.0
logger = get_logger(__name__)


class Janitor:
    """Forgets answers to idempotency keys after a day, and budgets of rate limits that are full; every replica may."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Clean up every ten minutes, until cancelled."""
        while True:
            try:
                await self.once()
            except PlatformError as error:
                logger.warning("not_cleaned_up", error=error.message)
            await pause(INTERVAL_S)

    async def once(self) -> None:
        """Clean up now."""
        async with self._database.connection() as connection:
            await idempotency.expire(connection)
            await rate_limits.forget_unused(connection)
