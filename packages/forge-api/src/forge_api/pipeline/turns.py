"""When a run may go on beside others: after the run that it is based on, and by the `concurrency` of its branch."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

from forge_api.database import executions
from forge_api.database.pool import Connection, Database
from forge_api.pipeline import planner
from forge_api.pipeline.facts import RunFacts
from forge_api.pipeline.failures import RunCancelled
from forge_api.pipeline.recorder import durable
from forge_sdk.models.discovery import DiscoveryDocument

LOOK_AGAIN_S = 2.0
"""Runs are told of each other's ends at once; this is for ends that were recorded by another process."""
Cancel = Callable[[UUID], Awaitable[None]]


class Ends:
    """Tells those who wait that some run has ended."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def pulse(self) -> asyncio.Event:
        """What is set at the next end; taken before looking, so that no end is missed."""
        return self._next

    def tell(self) -> None:
        """A run has ended."""
        self._next.set()
        self._next = asyncio.Event()


class Turns:
    """The turn of one run."""

    def __init__(self, run: RunFacts, database: Database, ends: Ends, cancel: Cancel) -> None:
        self._run, self._database, self._ends, self._cancel = run, database, ends, cancel

    async def after_base(self) -> None:
        """Wait for the end of the run that this one is based on. Raises `RunCancelled`."""
        if self._run.based_on is not None:
            await self._wait(self._active_base)

    async def base(self) -> UUID | None:
        """The run that this one is based on, while it has not ended."""
        return await self._database.look(self._active_base)

    async def on_branch(self, document: DiscoveryDocument) -> None:
        """Cancel the older runs that this one replaces, or wait until they have ended. Raises `RunCancelled`."""
        if self._run.source.git.branch is None or self._run.release_request is not None:
            return
        await self.replace_older()
        if planner.concurrency(self._run, document) == "queue":
            await self._wait(self._ahead)

    async def replace_older(self) -> None:
        """Cancel the runs of the branch that a newer one replaces; that may be this one."""
        branch = self._run.source.git.branch
        if branch is None:
            return
        replaced = await durable(
            self._database, lambda connection: executions.supersede(connection, self._run.repository_id, branch)
        )
        for run_id in replaced:
            await self._cancel(run_id)

    async def blocked_by(self, document: DiscoveryDocument) -> UUID | None:
        """The run for which this one has to wait now."""
        if self._run.release_request is not None:
            return None
        if self._run.source.git.branch is None or planner.concurrency(self._run, document) != "queue":
            return None
        return await self._database.look(self._ahead)

    async def _wait(self, find: Callable[[Connection], Awaitable[UUID | None]]) -> None:
        noted: UUID | None = None
        while True:
            pulse = self._ends.pulse()
            if await self._database.look(lambda connection: executions.cancel_requested(connection, self._run.id)):
                raise RunCancelled
            other = await self._database.look(find)
            if other != noted:
                await self._note(other)
                noted = other
            if other is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await pulse.wait()

    async def _note(self, other: UUID | None) -> None:
        await durable(self._database, lambda connection: executions.wait_for(connection, self._run.id, other))

    async def _active_base(self, connection: Connection) -> UUID | None:
        base = self._run.based_on
        return base if base is not None and await executions.is_active(connection, base) else None

    async def _ahead(self, connection: Connection) -> UUID | None:
        return await executions.ahead(connection, self._run)
