"""Carries out a pending deployment: its job, the record, and whose turn it is next."""

from uuid import UUID

from pydantic import JsonValue

from forge_api.database import audit, deployments, outbox, release_view
from forge_api.database.deployments import Subject
from forge_api.database.origin import Origin
from forge_api.database.pool import Connection, Database
from forge_api.deployments import policy
from forge_api.deployments.environments import Environments
from forge_api.deployments.pointer import payload
from forge_api.pipeline import planner
from forge_api.pipeline.failures import deployment_failed
from forge_api.pipeline.outputs import Outputs
from forge_api.pipeline.recorder import durable
from forge_dispatch import Dispatcher
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.payloads import DeploymentJobOutput
from forge_sdk.models.statuses import DeploymentStatus

logger = get_logger(__name__)


class DeploymentExecution:
    """Carries out deployments; a failed one changes neither run nor release."""

    def __init__(
        self, database: Database, dispatcher: Dispatcher, outputs: Outputs, environments: Environments
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._outputs = outputs
        self._environments = environments

    async def carry_out(self, deployment_id: UUID) -> UUID | None:
        """Take a pending deployment to its end; the one whose turn it is now, or nothing."""
        found = await self._database.read(lambda connection: deployments.subject(connection, deployment_id))
        if found.status is not DeploymentStatus.PENDING:
            return None
        try:
            output = await self._run_job(found)
        except PlatformError as error:
            failure = deployment_failed(found.environment, found.project, error.to_detail()).to_detail()
            logger.warning("deployment_failed", deployment_id=str(found.id), error=error.message)
            return await durable(self._database, lambda connection: self._fail(connection, found, failure))
        return await durable(self._database, lambda connection: self._activate(connection, found, output))

    async def _run_job(self, found: Subject) -> DeploymentJobOutput:
        job = planner.deployment_job(found.source, found.run_id or found.id, payload(found))
        [result] = await self._dispatcher.run([job], fail_fast=False)
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

    async def _fail(self, connection: Connection, found: Subject, error: ErrorDetail) -> UUID | None:
        await deployments.end(connection, found.id, DeploymentStatus.FAILED, error)
        following = await self._promote(connection, found)
        await _tell(connection, found, {"status": "failed", "error": error.message})
        return following

    async def _promote(self, connection: Connection, ended: Subject) -> UUID | None:
        while queued := await deployments.next_queued(connection, ended.project_id, ended.environment):
            deployment_id, release_id = queued
            try:
                await self._check_again(connection, ended.environment, release_id)
            except PlatformError as error:
                await deployments.end(connection, deployment_id, DeploymentStatus.REFUSED, error.to_detail())
                continue
            await deployments.start(connection, deployment_id)
            return deployment_id
        return None

    async def _check_again(self, connection: Connection, environment: str, release_id: UUID) -> None:
        release = await release_view.by_id(connection, release_id)
        policy.require(environment, self._environments.find(environment), release)


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
    origin = Origin(found.deployed_by, trace=found.source.trace)
    await audit.record(connection, origin, "deployment.completed", subject, after=data)
