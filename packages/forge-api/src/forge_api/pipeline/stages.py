"""The walk in pieces, for dispatchers in processes of their own: what is to do in a stage now, and its results.

Every answer follows from the database alone, so a dispatcher that is started again goes on where the one before it was.
"""

import asyncio
from collections.abc import Callable
from uuid import UUID

from forge_api.database import executions, runs
from forge_api.deployments.execution import DeploymentExecution
from forge_api.deployments.manager import DeploymentManager
from forge_api.pipeline import planner
from forge_api.pipeline.facts import RunFacts, TaskRow
from forge_api.pipeline.failures import discovery_failed
from forge_api.pipeline.means import Means
from forge_api.pipeline.recorder import Recorder
from forge_api.pipeline.release_stage import ReleaseStage
from forge_api.pipeline.reuse import reused_document
from forge_api.pipeline.stage_answers import cancelled, failed, not_in_stage, opened, skipped, succeeded
from forge_api.pipeline.task_results import first_failure, record_task
from forge_api.pipeline.turns import Turns
from forge_sdk.messaging import QUEUE_OF_TYPE
from forge_sdk.models.discovery import DiscoveryDocument
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.models.stages import Stage, StageJobs, StageQuery, StageResult, StageState
from forge_sdk.models.statuses import ExecutionStatus, RunStatus
from forge_sdk.storage_keys import DISCOVERY_LOG

WAIT_S = 15.0
"""Below the time-out of a dispatcher's requests; it asks again at once."""
LOOK_AGAIN_S = 0.5


class Stages:
    """Answers dispatchers. Raises `not_found` for what is not part of the run."""

    def __init__(
        self,
        means: Means,
        execution: DeploymentExecution,
        deployments: DeploymentManager,
        turns: Callable[[RunFacts], Turns],
        limit: Callable[[str], int | None],
    ) -> None:
        self._means, self._execution, self._turns, self._limit = means, execution, turns, limit
        self._releases = ReleaseStage(means, deployments)

    async def jobs(self, run_id: UUID, stage: Stage, query: StageQuery) -> StageJobs:
        """What is to do now. Where the run has to wait for another the answer takes a while, and may have no jobs yet."""
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while True:
            plan = await self._plan(run_id, stage, query)
            if plan.jobs:
                pool = QUEUE_OF_TYPE[plan.jobs[0].type].pool
                return plan.model_copy(update={"at_once": self._limit(pool)})
            if plan.state is not StageState.OPEN or asyncio.get_running_loop().time() > deadline:
                return plan
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _plan(self, run_id: UUID, stage: Stage, query: StageQuery) -> StageJobs:
        if stage is Stage.DEPLOYMENT and query.deployment is not None:
            return await self._execution.stage(query.deployment)
        run = await self._means.database.look(lambda connection: executions.facts(connection, run_id))
        ended = await self._ended(run, stage, query)
        if ended is not None:
            return ended
        if stage is Stage.DISCOVERY:
            return await self._discovery(run)
        document = await self._document(run)
        if stage is Stage.RELEASE and query.project is not None:
            return await self._releases.jobs(run, document, query.project)
        return await self._group(run, document, query.group or 0)

    async def record(self, run_id: UUID, body: StageResult) -> None:
        """Record a result; one that is recorded already changes nothing."""
        if body.stage is Stage.DEPLOYMENT and body.deployment is not None:
            await self._execution.record(body.deployment, body.result)
            return
        run = await self._means.database.look(lambda connection: executions.facts(connection, run_id))
        if body.stage is Stage.DISCOVERY:
            await self._record_discovery(run, body.result)
        elif body.stage is Stage.RELEASE and body.project is not None:
            await self._releases.record(run, await self._document(run), body.project, body.result)
        else:
            await self._record_task(run, body)

    async def _ended(self, run: RunFacts, stage: Stage, query: StageQuery) -> StageJobs | None:
        if run.cancel_requested and not run.status.finished:
            await self._recorder(run).cancelled()
        elif not run.status.finished:
            return None
        summary = await self._means.database.look(lambda connection: runs.summary(connection, run.id))
        if summary.status is RunStatus.SUCCESS:
            return None if stage is Stage.RELEASE else succeeded(stage)
        if summary.status is RunStatus.CANCELLED:
            return cancelled(stage, summary.error)
        tasks = await self._tasks(run, query.group) if stage is Stage.PHASE_GROUP else []
        is_own = (
            stage is Stage.DISCOVERY
            or (stage is Stage.RELEASE and run.retries)
            or any(task.status is ExecutionStatus.FAILED for task in tasks)
        )
        return failed(stage, summary.error) if is_own else skipped(stage)

    async def _discovery(self, run: RunFacts) -> StageJobs:
        await self._recorder(run).start()
        if run.discovery_ref is None:
            if await self._turns(run).base() is not None:
                return opened(Stage.DISCOVERY, [])
            document = await reused_document(run, self._means.database, self._means.outputs)
            if document is None:
                job = planner.discovery_job(run)
                await self._recorder(run).expect_log(job, *DISCOVERY_LOG)
                return opened(Stage.DISCOVERY, [job])
            key = await self._means.outputs.store_document(run, document)
            await self._recorder(run).keep_plan(document, key)
        else:
            document = await self._document(run)
        groups = await self._means.database.look(lambda connection: executions.groups(connection, run.id))
        released = [project.name for project in planner.released_projects(document, run)]
        return succeeded(Stage.DISCOVERY, groups=groups, releases=released, projects=len(document.projects))

    async def _record_discovery(self, run: RunFacts, result: JobResult) -> None:
        job = planner.discovery_job(run)
        if result.job_id != job.id:
            raise not_in_stage(result.job_id, Stage.DISCOVERY)
        if result.succeeded:
            document, key = await self._means.outputs.keep_document(job, result)
            await self._recorder(run).keep_plan(document, key)
        elif result.status == "failed":
            error = discovery_failed(result.error)
            await self._recorder(run).finish(RunStatus.FAILED, error)

    async def _group(self, run: RunFacts, document: DiscoveryDocument, group: int) -> StageJobs:
        turns = self._turns(run)
        await turns.replace_older()
        if await turns.blocked_by(document) is not None:
            return opened(Stage.PHASE_GROUP, [])
        recorder, tasks = self._recorder(run), await self._tasks(run, group)
        unfinished = [task for task in tasks if task.open or task.unexplained]
        has_failed = any(task.status is ExecutionStatus.FAILED for task in tasks)
        if unfinished:
            await recorder.start_group(group)
            return opened(Stage.PHASE_GROUP, planner.task_jobs(run, document, unfinished), withdraw=has_failed)
        await recorder.end_group(group)
        if has_failed:
            error = first_failure(tasks)
            await recorder.finish(RunStatus.FAILED, error)
            return failed(Stage.PHASE_GROUP, error.to_detail())
        return succeeded(Stage.PHASE_GROUP)

    async def _record_task(self, run: RunFacts, body: StageResult) -> None:
        document = await self._document(run)
        found: dict[UUID, tuple[Job, TaskRow]] = {}
        for task in await self._tasks(run, body.group):
            [job] = planner.task_jobs(run, document, [task])
            found[job.id] = (job, task)
        if body.result.job_id not in found:
            raise not_in_stage(body.result.job_id, Stage.PHASE_GROUP)
        job, task = found[body.result.job_id]
        result = body.result
        if task.unexplained and result.status == "cancelled":
            # The result has expired, so that withdrawing the job found none: what was reported stands.
            result = result.model_copy(update={"status": "failed"})
        if task.open or task.unexplained:
            await record_task(self._recorder(run), self._means.outputs, job, task, result)

    async def _document(self, run: RunFacts) -> DiscoveryDocument:
        if run.discovery_ref is None:
            return DiscoveryDocument()
        return await self._means.outputs.load(run.discovery_ref, DiscoveryDocument)

    async def _tasks(self, run: RunFacts, group: int | None) -> list[TaskRow]:
        tasks = await self._means.database.look(lambda connection: executions.tasks(connection, run.id))
        return [task for task in tasks if task.group == group]

    def _recorder(self, run: RunFacts) -> Recorder:
        return Recorder(self._means.database, run, self._means.observer)
