"""Requests for deployments, by people and by runs."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import JsonValue

from forge_api.database import audit, deployment_view, deployments, outbox, release_view
from forge_api.database.origin import Origin
from forge_api.database.pool import Connection, Database
from forge_api.deployments import policy
from forge_api.deployments.environments import Environments
from forge_api.engine.port import DeploymentPlan, WorkflowEngine
from forge_api.pipeline.facts import RunFacts
from forge_api.pipeline.recorder import durable
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.models.api import Deployment, Environment, Release
from forge_sdk.models.statuses import DeploymentStatus

logger = get_logger(__name__)


class DeploymentManager:
    """Takes requests, checks policies, and hands pending deployments to the engine."""

    def __init__(self, database: Database, environments: Environments, engine: WorkflowEngine) -> None:
        self._database = database
        self._environments = environments
        self._engine = engine

    def environments(self) -> Sequence[Environment]:
        """The environments as configured now."""
        return self._environments.models()

    async def request(
        self, environment: str, repository: str, project: str, release_reference: str, actor: str
    ) -> Deployment:
        """The new deployment, or the one of this release that is active, pending or queued there.

        Raises `not_found` for an unknown environment or release, `conflict` for an ambiguous reference, and
        `deployment_refused` with the policy, what it requires and what the release has; then nothing is written.
        """
        found = self._environments.find(environment)
        release = await self._database.read(
            lambda connection: release_view.find(connection, repository, project, release_reference)
        )
        policy.require(environment, found, release)
        return await self._create(environment, release, Origin(actor))

    async def deploy_automatically(self, release_id: UUID, run: RunFacts) -> list[UUID]:
        """The deployments that environments with `auto_deploy` get of a release; a refusal is logged."""
        release = await self._database.read(lambda connection: release_view.by_id(connection, release_id))
        made = []
        for name, found in self._environments.current().items():
            if not found.promotion_policy.auto_deploy:
                continue
            try:
                policy.require(name, found, release)
                deployment = await self._create(name, release, Origin(run.triggered_by, trace=run.source.trace), run.id)
            except PlatformError as error:
                if error.code is not ErrorCode.DEPLOYMENT_REFUSED:
                    raise
                logger.warning(
                    "deployment_refused", release=release.canonical_id, environment=name, error=error.message
                )
                continue
            made.append(deployment.id)
        return made

    async def _create(
        self, environment: str, release: Release, origin: Origin, run_id: UUID | None = None
    ) -> Deployment:
        async def change(connection: Connection) -> tuple[Deployment, bool]:
            deployment_id, created = await deployments.get_or_create(
                connection, release.id, environment, origin.actor, run_id
            )
            deployment = await deployment_view.find(connection, deployment_id)
            if created:
                await _tell(connection, deployment, release, origin)
            return deployment, created

        deployment, _ = await durable(self._database, change)
        if deployment.status is DeploymentStatus.PENDING:
            await self._engine.submit(DeploymentPlan(deployment.id))
        return deployment


async def _tell(connection: Connection, deployment: Deployment, release: Release, origin: Origin) -> None:
    subject = f"deployment/{deployment.id}"
    data: dict[str, JsonValue] = {
        "id": str(deployment.id),
        "environment": deployment.environment,
        "release": release.canonical_id,
        "status": deployment.status.value,
    }
    await outbox.record(connection, "deployment.created", subject, data, trace=origin.trace)
    await audit.record(connection, origin, "deployment.created", subject, after=data)
