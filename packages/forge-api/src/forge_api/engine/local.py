"""The in-process engine: one task per run and deployment; its state is the database."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from forge_api.background import ended
from forge_api.database import deployments, executions, runs
from forge_api.database.pool import Database
from forge_api.deployments.environments import Environments
from forge_api.deployments.execution import DeploymentExecution
from forge_api.deployments.manager import DeploymentManager
from forge_api.engine.port import DeploymentPlan, RunPlan
from forge_api.engine.shares import Shares
from forge_api.pipeline.dispatching import FairDispatcher
from forge_api.pipeline.facts import RunFacts
from forge_api.pipeline.means import Means
from forge_api.pipeline.observing import Observer
from forge_api.pipeline.outputs import Outputs
from forge_api.pipeline.recorder import Recorder
from forge_api.pipeline.stages import Stages
from forge_api.pipeline.turns import Ends, Turns
from forge_api.pipeline.walk import Walk
from forge_dispatch import Dispatcher
from forge_sdk.errors import PlatformError, as_platform_error
from forge_sdk.logging import get_logger
from forge_sdk.models.statuses import RunStatus
from forge_sdk.object_storage import ObjectStore
from forge_sdk.retry import RetryPolicy
from forge_sdk.telemetry import span, traceparent

ERRORED_RETRY = RetryPolicy(attempts=60, base_delay=1.0, max_delay=60.0, jitter=1.0)
"""An hour; a run that could not even be marked as errored is resumed by the next process."""
logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`repository_share` is the fraction of a pool's slots that one repository may use, `leads` whether to work at once."""

    public_url: str
    observer: Observer
    repository_share: float = 0.5
    leads: bool = True


class LocalEngine:
    """Carries out plans within this process; use it as an async context manager, which ends its tasks.

    Ending it loses nothing: jobs go on at the workers, and `resume` of the next engine finds their results. Only one
    engine may work on a database: with `leads` false it leaves plans to the one that does, until `resume`.
    `deployments` takes requests for deployments.
    """

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        storage: ObjectStore,
        environments: Environments,
        settings: EngineSettings,
    ) -> None:
        self._database = database
        self._shares = Shares(settings.repository_share)
        self._dispatcher = FairDispatcher(dispatcher, self._shares)
        outputs = Outputs(storage)
        self._means = Means(database, self._dispatcher, outputs, self._deploy, settings.observer)
        self._public_url = settings.public_url.rstrip("/")
        self._leads = settings.leads
        self._ends = Ends()
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._execution = DeploymentExecution(database, self._dispatcher, outputs, environments)
        self._refreshing: asyncio.Task[None] | None = None
        self.deployments = DeploymentManager(database, environments, self)
        self.stages = Stages(self._means, self._execution, self.deployments, self._turns, self._shares.limit)

    async def __aenter__(self) -> Self:
        await self._shares.refresh(self._database)
        self._refreshing = asyncio.create_task(self._shares.keep_fresh(self._database))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stand_down()
        if self._refreshing is not None:
            await ended({self._refreshing})

    @property
    def leads(self) -> bool:
        """Whether this process carries out plans."""
        return self._leads

    async def stand_down(self) -> None:
        """Leave all plans to another process: what goes on here ends, its jobs go on at the workers."""
        self._leads = False
        await ended(self._tasks.values())

    async def submit(self, plan: RunPlan | DeploymentPlan) -> None:
        """Start a plan and return at once; submitting what runs or has ended changes nothing.

        Where another process leads it has been told with the row.
        """
        if not self._leads:
            return
        if isinstance(plan, RunPlan):
            self._start(plan.run_id, self._carry_out_run(plan.run_id))
        else:
            self._start(plan.deployment_id, self._carry_out_deployment(plan.deployment_id))

    async def status(self, run_id: UUID) -> RunStatus:
        """The status of a run; `not_found` where it does not exist."""
        found = await self._database.look(lambda connection: runs.summary(connection, run_id))
        return found.status

    async def cancel(self, run_id: UUID) -> None:
        """End a run: its running jobs are ended by their workers, queued ones never start."""
        async with self._database.transaction() as connection:
            await runs.request_cancel(connection, run_id)
        await self._dispatcher.cancel(run_id)
        await self.submit(RunPlan(run_id))

    async def resume(self) -> None:
        """Lead: go on with all runs and deployments that have not ended."""
        self._leads = True
        active = await self._database.look(executions.active)
        pending = await self._database.look(deployments.pending)
        for run_id in active:
            await self.submit(RunPlan(run_id))
        for deployment_id in pending:
            await self.submit(DeploymentPlan(deployment_id))
        logger.info("engine_resumed", runs=len(active), deployments=len(pending))

    def link(self, run_id: UUID) -> str:
        """URL of the run in the API."""
        return f"{self._public_url}/v1/runs/{run_id}"

    def _start(self, id: UUID, work: Coroutine[Any, Any, None]) -> None:
        if id in self._tasks:
            work.close()
            return
        task = asyncio.create_task(work, name=f"plan-{id}")
        self._tasks[id] = task
        task.add_done_callback(lambda _: self._tasks.pop(id, None))

    async def _carry_out_run(self, run_id: UUID) -> None:
        try:
            run = await self._database.look(lambda connection: executions.facts(connection, run_id))
        except PlatformError as error:
            # `resume` of the next look takes the run up again.
            logger.warning("run_not_taken_up", run_id=str(run_id), error=error.message)
            return
        try:
            with span("run", parent=run.source.trace, attributes={"run": str(run.id)}):
                traced = run.traced(traceparent())
                await Walk(traced, self._means, self._turns(traced)).carry_out()
            self._ends.tell()
        except Exception as error:
            logger.exception("run_errored", run_id=str(run_id))
            await self._errored(run, error)

    async def _errored(self, run: RunFacts, error: Exception) -> None:
        failure = as_platform_error(error, component="engine")
        try:
            recorder = Recorder(self._database, run, self._means.observer)
            await ERRORED_RETRY.call(lambda: recorder.finish(RunStatus.ERRORED, failure))
            self._ends.tell()
        except Exception:
            logger.exception("run_not_marked_as_errored", run_id=str(run.id))

    def _turns(self, run: RunFacts) -> Turns:
        return Turns(run, self._database, self._ends, self._dispatcher.cancel)

    async def _carry_out_deployment(self, deployment_id: UUID) -> None:
        try:
            following = await self._execution.carry_out(deployment_id)
        except Exception:
            # The row stays pending: the next engine takes it up again.
            logger.exception("deployment_not_recorded", deployment_id=str(deployment_id))
            return
        if following is not None:
            await self.submit(DeploymentPlan(following))

    async def _deploy(self, release_id: UUID, run: RunFacts) -> list[str]:
        made, refused = await self.deployments.deploy_automatically(release_id, run)
        tasks = [self._tasks[id] for id in made if id in self._tasks]
        if tasks:
            # Those that are queued behind another one are not waited for.
            await asyncio.wait(tasks)
        return refused
