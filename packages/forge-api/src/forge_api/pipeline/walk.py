"""The walk of one run: discovery, phase groups, releases, automatic deployments, end.

Its only state is the database: a walk that is started again goes on where the one before it was.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from forge_api.database import executions
from forge_api.pipeline import planner
from forge_api.pipeline.facts import RunFacts, TaskRow
from forge_api.pipeline.failures import RunCancelled, discovery_failed, run_failed
from forge_api.pipeline.means import Means
from forge_api.pipeline.recorder import Recorder
from forge_api.pipeline.releasing import Releasing, require_requested
from forge_api.pipeline.reuse import reused_document
from forge_api.pipeline.task_results import first_failure, record_task
from forge_api.pipeline.turns import Turns
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.models.discovery import DiscoveredProject, DiscoveryDocument
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import JobResult
from forge_sdk.models.statuses import ExecutionStatus, RunStatus
from forge_sdk.storage_keys import DISCOVERY_LOG

PARALLEL_RELEASES = 8
logger = get_logger(__name__)


class Walk:
    """Carries out one run."""

    def __init__(self, run: RunFacts, means: Means, turns: Turns) -> None:
        self._run = run
        self._database = means.database
        self._dispatcher = means.dispatcher
        self._outputs = means.outputs
        self._deploy = means.deploy
        self._turns = turns
        self._recorder = Recorder(means.database, run, means.observer)
        self._warnings: list[str] = []

    async def carry_out(self) -> None:
        """Take the run to its end and record it. Raises what keeps the record from being written."""
        if self._run.status.finished:
            return
        try:
            await self._stages()
        except RunCancelled:
            # Once more, should the first cancel have been lost with the process before this one.
            await self._dispatcher.cancel(self._run.id)
            await self._recorder.cancelled(self._warnings)
        except PlatformError as error:
            status = RunStatus.FAILED if error.code is ErrorCode.RUN_FAILED else RunStatus.ERRORED
            logger.info("run_unsuccessful", run_id=str(self._run.id), status=status.value, error=error.message)
            await self._recorder.finish(status, error, self._warnings)

    async def _stages(self) -> None:
        await self._recorder.start()
        document = await self._discover()
        await self._turns.on_branch(document)
        for group in await self._groups():
            await self._phase_group(document, group)
        await self._release(document)
        await self._recorder.finish(RunStatus.SUCCESS, warnings=self._warnings)

    async def _discover(self) -> DiscoveryDocument:
        await self._stop_if_cancelled()
        if self._run.discovery_ref is not None:
            return await self._outputs.load(self._run.discovery_ref, DiscoveryDocument)
        await self._turns.after_base()
        return await self._reuse_discovery() or await self._run_discovery()

    async def _reuse_discovery(self) -> DiscoveryDocument | None:
        document = await reused_document(self._run, self._database, self._outputs)
        if document is not None:
            key = await self._outputs.store_document(self._run, document)
            await self._recorder.keep_plan(document, key)
        return document

    async def _run_discovery(self) -> DiscoveryDocument:
        job = planner.discovery_job(self._run)
        await self._recorder.expect_log(job, *DISCOVERY_LOG)
        [result] = await self._dispatcher.run([job])
        if result.status == "cancelled":
            raise RunCancelled
        if not result.succeeded:
            raise discovery_failed(result.error)
        document, key = await self._outputs.keep_document(job, result)
        await self._recorder.keep_plan(document, key)
        return document

    async def _phase_group(self, document: DiscoveryDocument, group: int) -> None:
        await self._stop_if_cancelled()
        tasks = await self._tasks(group)
        if all(task.status is ExecutionStatus.SUCCESS for task in tasks):
            await self._recorder.end_group(group)
            return
        await self._recorder.start_group(group)
        outcomes = await self._run_tasks(document, tasks)
        await self._recorder.end_group(group)
        if outcomes.failed:
            raise first_failure(outcomes.failed)
        if outcomes.cancelled:
            raise RunCancelled

    async def _run_tasks(self, document: DiscoveryDocument, tasks: Sequence[TaskRow]) -> "_Outcomes":
        outcomes = _Outcomes()
        unfinished = [task for task in tasks if task.status is not ExecutionStatus.SUCCESS]
        jobs = planner.task_jobs(self._run, document, unfinished)
        by_id = dict(zip([job.id for job in jobs], zip(jobs, unfinished, strict=True), strict=True))

        async def on_result(result: JobResult) -> None:
            job, task = by_id[result.job_id]
            error = task.error
            # A resumed group may hold a failed task whose result has expired: its record stays.
            if task.open or result.status != "cancelled":
                error = await record_task(self._recorder, self._outputs, job, task, result)
            outcomes.take(task, result, error)

        if any(task.status is ExecutionStatus.FAILED for task in tasks):
            await self._dispatcher.withdraw(jobs, on_result=on_result)
        else:
            await self._dispatcher.run(jobs, on_result=on_result)
        return outcomes

    async def _release(self, document: DiscoveryDocument) -> None:
        releasing = Releasing(
            self._run, document, self._dispatcher, self._recorder, self._outputs, warnings=self._warnings
        )
        stops: list[PlatformError | RunCancelled] = []
        released = planner.released_projects(document, self._run)
        require_requested(document, self._run, released)
        waiting = iter(released)

        async def work() -> None:
            for project in waiting:
                if stops:
                    return
                try:
                    await self._release_project(releasing, project)
                except (PlatformError, RunCancelled) as error:
                    stops.append(error)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(PARALLEL_RELEASES):
                tasks.create_task(work())
        _conclude(stops)

    async def _release_project(self, releasing: Releasing, project: DiscoveredProject) -> None:
        await self._stop_if_cancelled()
        release_id = await releasing.make(project)
        if project.deployment:
            self._warnings.extend(await self._deploy(release_id, self._run))

    async def _groups(self) -> list[int]:
        return await self._database.look(lambda connection: executions.groups(connection, self._run.id))

    async def _tasks(self, group: int) -> list[TaskRow]:
        tasks = await self._database.look(lambda connection: executions.tasks(connection, self._run.id))
        return [task for task in tasks if task.group == group]

    async def _stop_if_cancelled(self) -> None:
        if await self._database.look(lambda connection: executions.cancel_requested(connection, self._run.id)):
            raise RunCancelled


class _Outcomes:
    """What became of the tasks of a group."""

    def __init__(self) -> None:
        self.failed: list[TaskRow] = []
        self.cancelled = False

    def take(self, task: TaskRow, result: JobResult, error: ErrorDetail | None) -> None:
        has_failed = result.status == "failed"
        if has_failed or (result.status == "cancelled" and task.status is ExecutionStatus.FAILED):
            self.failed.append(replace(task, status=ExecutionStatus.FAILED, error=error))
        elif result.status == "cancelled":
            self.cancelled = True


def _conclude(stops: Sequence[PlatformError | RunCancelled]) -> None:
    """Raises what ends the run: that it was cancelled, else that it can't go on, else the first failed release."""
    failed: list[PlatformError] = []
    for stop in stops:
        if isinstance(stop, RunCancelled):
            raise stop
        failed.append(stop)
    for error in failed:
        if error.code is not ErrorCode.RELEASE_FAILED:
            raise error
    if failed:
        raise run_failed(failed[0].message, failed[0].to_detail())
