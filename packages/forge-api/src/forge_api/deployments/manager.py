"""Requests for deployments, by people and by runs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from pydantic import JsonValue

from forge_api.database import audit, deployment_view, deployments, holds, outbox, release_view
from forge_api.database.deployments import NewDeployment
from forge_api.database.origin import Origin
from forge_api.database.pool import Connection, Database
from forge_api.deployments import policy
from forge_api.deployments.environments import Environments
from forge_api.engine.port import DeploymentPlan, WorkflowEngine
from forge_api.pipeline.facts import RunFacts
from forge_api.pipeline.recorder import durable
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import CreateDeployment, Deployment, Environment, Release
from forge_sdk.models.statuses import DeploymentIntent, DeploymentStatus


class DeploymentManager:
    """Takes requests, checks policies, and hands pending deployments to the engine."""

    def __init__(self, database: Database, environments: Environments, engine: WorkflowEngine) -> None:
        self._database = database
        self._environments = environments
        self._engine = engine

    def environments(self) -> Sequence[Environment]:
        """The environments as configured now."""
        return self._environments.models()

    async def request(self, body: CreateDeployment, origin: Origin) -> Deployment:
        """The new deployment, or the one of this release that is active, pending or queued there.

        Raises `not_found` for an unknown environment or release, `conflict` for an ambiguous reference, and
        `deployment_refused` with the policy, what it requires and what the release has; then nothing is written but an
        audit event.
        """
        self._environments.find(body.environment)
        release = await self._database.read(lambda connection: _wanted(connection, body))
        new = NewDeployment(release.id, body.environment, origin, intent=_intent(body))
        return await self._checked(new, release, origin)

    async def deploy_automatically(self, release_id: UUID, run: RunFacts) -> tuple[list[UUID], list[str]]:
        """The deployments that environments with `auto_deploy` get of a release, and warnings about what was refused.

        A refusal is audited, too.
        """
        release = await self._database.read(lambda connection: release_view.by_id(connection, release_id))
        origin = run.origin
        made, refused = [], []
        for name, found in self._environments.current().items():
            if not found.promotion_policy.auto_deploy:
                continue
            new = NewDeployment(release.id, name, origin, run_id=run.id, automatic=True)
            try:
                made.append((await self._checked(new, release, origin)).id)
            except PlatformError as error:
                if error.code is not ErrorCode.DEPLOYMENT_REFUSED:
                    raise
                refused.append(f"{release.project} was not deployed to {name}: {error.message}")
        return made, refused

    async def _checked(self, new: NewDeployment, release: Release, origin: Origin) -> Deployment:
        try:
            environment = self._environments.find(new.environment)
            policy.require(new.environment, environment, release, datetime.now(UTC))
            deployment = await durable(self._database, lambda connection: _create(connection, new, release, origin))
        except PlatformError as error:
            if error.code is ErrorCode.DEPLOYMENT_REFUSED:
                context = error.context
                await durable(self._database, lambda connection: _tell_refusal(connection, release, origin, context))
            raise
        if deployment.status is DeploymentStatus.PENDING:
            await self._engine.submit(DeploymentPlan(deployment.id))
        return deployment


async def _wanted(connection: Connection, body: CreateDeployment) -> Release:
    if body.release is not None:
        return await release_view.find(connection, body.repository, body.project, body.release)
    before = await deployments.release_before(connection, body.environment, body.repository, body.project)
    if before is None:
        raise PlatformError(
            f"no other release of {body.repository}/{body.project} was active in {body.environment} before: name the "
            "release to go back to",
            code=ErrorCode.NOT_FOUND,
            component="deployments",
        )
    return await release_view.by_id(connection, before)


async def _create(connection: Connection, new: NewDeployment, release: Release, origin: Origin) -> Deployment:
    project_id = await deployments.lock_project(connection, release.id)
    if new.automatic:
        policy.require_no_hold(await holds.find(connection, project_id, new.environment))
    deployment_id, created = await deployments.get_or_create(connection, project_id, new)
    if created and new.intent is not None:
        reason = f"{new.intent.value} to release {release.release_number}"
        await holds.set_hold(
            connection,
            project_id,
            new.environment,
            reason=reason,
            set_by=origin.actor,
            deployment_id=deployment_id,
        )
    deployment = await deployment_view.find(connection, deployment_id)
    if created:
        await _tell(connection, deployment, release, origin)
    return deployment


async def _tell(connection: Connection, deployment: Deployment, release: Release, origin: Origin) -> None:
    subject = f"deployment/{deployment.id}"
    data: dict[str, JsonValue] = {
        "id": str(deployment.id),
        "environment": deployment.environment,
        "release": release.canonical_id,
        "status": deployment.status.value,
        "intent": deployment.intent,
    }
    await outbox.record(connection, "deployment.created", subject, data, trace=origin.trace)
    await audit.record(connection, origin, "deployment.created", subject, after=data)


async def _tell_refusal(
    connection: Connection, release: Release, origin: Origin, context: Mapping[str, JsonValue]
) -> None:
    after: dict[str, JsonValue] = {"release": release.canonical_id, **context}
    await audit.record(connection, origin, "deployment.refused", f"release/{release.id}", after=after)


def _intent(body: CreateDeployment) -> DeploymentIntent | None:
    if body.rollback:
        return DeploymentIntent.ROLLBACK
    return DeploymentIntent.DIVERGENT if body.allow_divergent else None
