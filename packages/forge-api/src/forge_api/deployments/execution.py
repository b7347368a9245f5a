"""Carries out a pending deployment: its job, the record, and whose turn it is next."""

from datetime import UTC, datetime
from uuid import UUID

from pydantic import JsonValue

from forge_api.database import audit, deployment_view, deployments, holds, logs, outbox, release_view
from forge_api.database.deployments import Subject
from forge_api.database.pool import Connection, Database
from forge_api.deployments import policy
from forge_api.deployments.environments import Environments
from forge_api.deployments.pointer import payload
from forge_api.pipeline import planner
from forge_api.pipeline.dispatching import JobDispatcher
from forge_api.pipeline.failures import deployment_failed
from forge_api.pipeline.outputs import Outputs
from forge_api.pipeline.recorder import durable
from forge_api.pipeline.stage_answers import failed, not_in_stage, opened, succeeded
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.models.api import Deployment
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.models.payloads import DeploymentJobOutput
from forge_sdk.models.stages import Stage, StageJobs
from forge_sdk.models.statuses import DeploymentStatus

logger = get_logger(__name__)


class DeploymentExecution:
    """Carries out deployments; a failed one changes neither run nor release."""

    def __init__(
        self, database: Database, dispatcher: JobDispatcher, outputs: Outputs, environments: Environments
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._outputs = outputs
        self._environments = environments

    async def carry_out(self, deployment_id: UUID) -> UUID | None:
        """Take a pending deployment to its end; the one whose turn it is now, or nothing."""
        found = await self._subject(deployment_id)
        if found.status is not DeploymentStatus.PENDING:
            return None
        try:
            job = self._job(found)
            await self._expect_log(found, job)
            [result] = await self._dispatcher.run([job], fail_fast=False)
        except PlatformError as error:
            return await self._failed(found, error)
        return await self._end(found, job, result)

    async def stage(self, deployment_id: UUID) -> StageJobs:
        """What a dispatcher in a process of its own has to do for a deployment now."""
        found = await self._find(deployment_id)
        if found.status in {DeploymentStatus.ACTIVE, DeploymentStatus.SUPERSEDED}:
            return succeeded(Stage.DEPLOYMENT, commit=found.gitops_commit_sha or "")
        if found.status in {DeploymentStatus.FAILED, DeploymentStatus.REFUSED}:
            return failed(Stage.DEPLOYMENT, found.error)
        if found.status is not DeploymentStatus.PENDING:
            return opened(Stage.DEPLOYMENT, [])
        subject = await self._subject(deployment_id)
        job = self._job(subject)
        await self._expect_log(subject, job)
        return opened(Stage.DEPLOYMENT, [job], fail_fast=False)

    async def record(self, deployment_id: UUID, result: JobResult) -> None:
        """Record the result of a deployment's job; one that is recorded already changes nothing."""
        await self._find(deployment_id)
        subject = await self._subject(deployment_id)
        job = self._job(subject)
        if result.job_id != job.id:
            raise not_in_stage(result.job_id, Stage.DEPLOYMENT)
        if subject.status is DeploymentStatus.PENDING:
            await self._end(subject, job, result)

    async def _expect_log(self, found: Subject, job: Job) -> None:
        await durable(
            self._database,
            lambda connection: logs.expect_job_log(connection, job, found.project, found.environment),
        )

    def _job(self, found: Subject) -> Job:
        required = self._environments.find(found.environment).promotion_policy.require_signature
        return planner.deployment_job(
            found.source, found.run_id or found.id, payload(found, require_signature=required)
        )

    async def _find(self, deployment_id: UUID) -> Deployment:
        return await self._database.read(lambda connection: deployment_view.find(connection, deployment_id))

    async def _subject(self, deployment_id: UUID) -> Subject:
        return await self._database.read(lambda connection: deployments.subject(connection, deployment_id))

    async def _end(self, found: Subject, job: Job, result: JobResult) -> UUID | None:
        try:
            output = await self._output(job, result)
        except PlatformError as error:
            return await self._failed(found, error)
        return await durable(self._database, lambda connection: self._activate(connection, found, output))

    async def _failed(self, found: Subject, error: PlatformError) -> UUID | None:
        status, failure = _outcome(found, error)
        logger.warning("deployment_not_made", deployment_id=str(found.id), status=status.value, error=error.message)
        return await durable(self._database, lambda connection: self._fail(connection, found, status, failure))

    async def _output(self, job: Job, result: JobResult) -> DeploymentJobOutput:
        if not result.succeeded:
            detail = result.error or ErrorDetail(code="internal_error", message=f"the job ended as {result.status}")
            raise PlatformError.from_detail(detail)
        return await self._outputs.read(job, result, DeploymentJobOutput)

    async def _activate(self, connection: Connection, found: Subject, output: DeploymentJobOutput) -> UUID | None:
        await deployments.activate(connection, found, output.gitops_commit_sha)
        following = await self._promote(connection, found)
        data: dict[str, JsonValue] = {"status": "active", "gitops_commit_sha": output.gitops_commit_sha}
        await _tell(connection, found, data)
        return following

    async def _fail(
        self, connection: Connection, found: Subject, status: DeploymentStatus, error: ErrorDetail
    ) -> UUID | None:
        await deployments.end(connection, found.id, status, error)
        following = await self._promote(connection, found)
        await _tell(connection, found, {"status": status.value, "error": error.message})
        return following

    async def _promote(self, connection: Connection, ended: Subject) -> UUID | None:
        while deployment_id := await deployments.next_queued(connection, ended.project_id, ended.environment):
            queued = await deployments.subject(connection, deployment_id)
            try:
                await self._check_again(connection, queued)
            except PlatformError as error:
                refused = DeploymentStatus.REFUSED
                await deployments.end(connection, deployment_id, refused, error.to_detail())
                await _tell(connection, queued, {"status": refused.value, "error": error.message})
                continue
            await deployments.start(connection, deployment_id)
            return deployment_id
        return None

    async def _check_again(self, connection: Connection, queued: Subject) -> None:
        environment = self._environments.find(queued.environment)
        release = await release_view.by_id(connection, queued.release_id)
        policy.require(queued.environment, environment, release, datetime.now(UTC))
        if queued.automatic:
            policy.require_no_hold(await holds.find(connection, queued.project_id, queued.environment))


def _outcome(found: Subject, error: PlatformError) -> tuple[DeploymentStatus, ErrorDetail]:
    if error.code is ErrorCode.DEPLOYMENT_REFUSED:
        return DeploymentStatus.REFUSED, error.to_detail()
    failure = deployment_failed(found.environment, found.project, error.to_detail())
    return DeploymentStatus.FAILED, failure.to_detail()


async def _tell(connection: Connection, found: Subject, outcome: dict[str, JsonValue]) -> None:
    subject = f"deployment/{found.id}"
    data: dict[str, JsonValue] = {
        "id": str(found.id),
        "environment": found.environment,
        "repository": found.source.repository,
        "project": found.project,
        "release_id": str(found.release_id),
        **outcome,
    }
    await outbox.record(connection, "deployment.completed", subject, data, trace=found.source.trace)
    await audit.record(connection, found.origin, "deployment.completed", subject, after=data)
