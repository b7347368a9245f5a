"""What callers may do how often."""

from collections import OrderedDict

from forge_api.database import rate_limits
from forge_api.database.pool import Connection, Database
from forge_api.database.rate_limits import Budget
from forge_sdk.configuration import Limits

READS_AT_ONCE = 20
"""Reads that a process takes from the shared budget together, so that not every read writes."""
MAX_READERS = 10_000


class RateLimits:
    """The limits of one process; the budgets are in the database."""

    def __init__(self, configuration: Limits) -> None:
        self._configuration = configuration
        self._reads: OrderedDict[str, int] = OrderedDict()
        """Reads that each caller has left of what was taken."""

    def runs(self, repository: str) -> Budget:
        """What creating a run of the repository takes from."""
        return Budget(f"runs:{repository}", self._configuration.runs_per_minute, f"runs of {repository}")

    async def run_created(self, connection: Connection, repository: str) -> None:
        """A run of the repository is about to be created. Raises `rate_limited`."""
        await _take(connection, self.runs(repository))

    async def deployment_created(self, database: Database, environment: str) -> None:
        """A deployment to the environment is about to be created. Raises `rate_limited`."""
        per_minute = self._configuration.deployments_per_minute
        async with database.connection() as connection:
            await _take(connection, Budget(f"deployments:{environment}", per_minute, f"deployments to {environment}"))

    async def release_read(self, database: Database, caller: str) -> None:
        """A caller looks releases up. Raises `rate_limited`."""
        left = self._reads.pop(caller, 0)
        if left <= 0:
            per_minute = self._configuration.release_reads_per_minute
            together = max(1, min(READS_AT_ONCE, per_minute // 10))
            async with database.connection() as connection:
                await _take(connection, Budget(f"release-reads:{caller}", per_minute, "release look-ups"), together)
            left = together
        self._reads[caller] = left - 1
        if len(self._reads) > MAX_READERS:
            self._reads.popitem(last=False)


async def _take(connection: Connection, budget: Budget, takes: int = 1) -> None:
    wait = await rate_limits.take(connection, budget, takes)
    if wait is not None:
        raise rate_limits.used_up(budget, wait)
