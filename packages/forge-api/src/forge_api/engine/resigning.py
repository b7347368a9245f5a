"""Goes on with releases that wait for a signer, without a rebuild, until it is back."""

from datetime import timedelta

from forge_api.database import attempts, runs
from forge_api.database.origin import Origin
from forge_api.database.pool import Database
from forge_api.engine.port import RunPlan, WorkflowEngine
from forge_sdk.cancellation import pause
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger

INTERVAL_S = 15.0
FIRST_WAIT = timedelta(seconds=30)
AT_ONCE = 20
ACTOR = "forge-api"
logger = get_logger(__name__)


class Resigning:
    """Retries the runs of releases whose signing failed since the signer could not be reached."""

    def __init__(self, database: Database, engine: WorkflowEngine, wait: timedelta = FIRST_WAIT) -> None:
        self._database, self._engine, self._wait = database, engine, wait

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            try:
                await self.once()
            except PlatformError as error:
                logger.warning("signatures_not_retried", error=error.message)
            await pause(INTERVAL_S)

    async def once(self) -> int:
        """Retry what is due; how many runs that were."""
        due = await self._database.read(lambda connection: attempts.awaiting_signature(connection, self._wait, AT_ONCE))
        for run_id in due:
            async with self._database.transaction() as connection:
                run, created = await runs.retry(connection, run_id, Origin(ACTOR), failed=True)
            if created:
                await self._engine.submit(RunPlan(run.id))
                logger.info("signature_retried", run_id=str(run.id), failed_run_id=str(run_id))
        return len(due)
