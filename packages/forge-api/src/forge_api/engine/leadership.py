"""One engine for a database: the process that holds the lease carries out the plans of all."""

import asyncio
from uuid import UUID

from forge_api.background import ended
from forge_api.database.lease import Lease, try_lease
from forge_api.database.notifications import PLANS, Notifications
from forge_api.engine.local import LocalEngine
from forge_api.engine.port import DeploymentPlan, RunPlan
from forge_sdk.cancellation import pause
from forge_sdk.configuration import Database
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger

TRY_AGAIN_S = 2.0
SWEEP_S = 30.0
"""Plans whose notification was lost are taken up after this."""
logger = get_logger(__name__)


class Leadership:
    """Lets the engine work while this process holds the lease."""

    def __init__(self, configuration: Database, engine: LocalEngine, notifications: Notifications) -> None:
        self._configuration, self._engine, self._notifications = configuration, engine, notifications
        self._plans: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        """Try to lead, and lead, until cancelled."""
        while True:
            try:
                await self._lead_once()
            except PlatformError as error:
                logger.warning("engine_stopped", error=error.message)
            await pause(TRY_AGAIN_S)

    async def _lead_once(self) -> None:
        async with try_lease(self._configuration) as lease:
            if lease is None:
                return
            remove = self._notifications.add(self._notified, lambda: self._plans.put_nowait(""))
            try:
                await self._engine.resume()
                await self._serve(lease)
            finally:
                remove()
                await self._engine.stand_down()

    async def _serve(self, lease: Lease) -> None:
        tasks = [asyncio.create_task(work) for work in (lease.lost(), self._follow(), self._sweep())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await ended(tasks)

    def _notified(self, channel: str, payload: str) -> None:
        if channel == PLANS:
            self._plans.put_nowait(payload)

    async def _follow(self) -> None:
        while True:
            payload = await self._plans.get()
            try:
                await self._take_up(payload)
            except PlatformError as error:
                logger.warning("plan_not_taken_up", plan=payload, error=error.message)
            await pause(0)

    async def _take_up(self, payload: str) -> None:
        kind, _, id = payload.partition(":")
        if kind == "run":
            await self._engine.submit(RunPlan(UUID(id)))
        elif kind == "deployment":
            await self._engine.submit(DeploymentPlan(UUID(id)))
        elif kind == "cancel":
            await self._engine.cancel(UUID(id))
        else:
            await self._engine.resume()

    async def _sweep(self) -> None:
        while True:
            await pause(SWEEP_S)
            self._plans.put_nowait("")
