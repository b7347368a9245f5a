"""How many jobs of one repository may be with the workers at once, so that a large run never starves a small one."""

from collections.abc import Mapping

from forge_api.database import plugins
from forge_api.database.pool import Database
from forge_dispatch import Share
from forge_sdk.cancellation import pause
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger

REFRESH_S = 10.0
FIRST_REFRESH_S = 0.5
"""Between two looks for the first worker: until its slots are known nothing limits a repository."""
logger = get_logger(__name__)


class Shares:
    """The share of every repository in every pool: a fraction of the slots that workers have registered.

    Where no worker has registered yet there is no limit.
    """

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction
        self._slots: Mapping[str, int] = {}
        self._shares: dict[tuple[str, str], Share] = {}

    def of(self, repository: str, pool: str) -> Share:
        """The admission that all jobs of a repository share in a pool."""
        key = (repository, pool)
        if key not in self._shares:
            self._forget_idle()
            self._shares[key] = Share(lambda: self.limit(pool))
        return self._shares[key]

    def limit(self, pool: str) -> int | None:
        """Jobs of one repository that may be in a pool at once: at least one; nothing where its slots are not known."""
        slots = self._slots.get(pool)
        return max(1, int(slots * self._fraction)) if slots else None

    def update(self, slots: Mapping[str, int]) -> None:
        """The pools have these slots now."""
        self._slots = slots
        for share in self._shares.values():
            share.refresh()

    async def refresh(self, database: Database) -> None:
        """Read the slots that workers have registered."""
        self.update(await database.read(plugins.slots))

    async def keep_fresh(self, database: Database) -> None:
        """Follow the slots until cancelled."""
        while True:
            await pause(REFRESH_S if self._slots else FIRST_REFRESH_S)
            try:
                await self.refresh(database)
            except PlatformError as error:
                logger.warning("slots_not_read", error=error.message)

    def _forget_idle(self) -> None:
        # A share in use is kept by its waiters and takers; a new one would not know of them.
        self._shares = {key: share for key, share in self._shares.items() if share.in_use}
