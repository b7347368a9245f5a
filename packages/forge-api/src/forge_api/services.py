"""What the handlers of requests use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from nats.aio.client import Client

from forge_api.auth.verifier import TokenVerifier
from forge_api.database.origin import Origin
from forge_api.database.pool import Database
from forge_api.engine.port import WorkflowEngine
from forge_api.events.run_feeds import RunFeeds
from forge_api.metrics import Metrics
from forge_api.web.limits import RateLimits
from forge_sdk.configuration import ApiConfiguration
from forge_sdk.models.api import CreateDeployment, Deployment, Environment
from forge_sdk.models.stages import Stage, StageJobs, StageQuery, StageResult
from forge_sdk.object_storage import ObjectStore


class Deployments(Protocol):
    """Takes requests for deployments and knows the environments."""

    async def request(self, body: CreateDeployment, origin: Origin) -> Deployment:
        """The new deployment, or the one that is there already; `deployment_refused` says which policy is not met."""

    def environments(self) -> Sequence[Environment]:
        """The environments as configured now."""


class Stages(Protocol):
    """Answers dispatchers in processes of their own."""

    async def jobs(self, run_id: UUID, stage: Stage, query: StageQuery) -> StageJobs:
        """What is to do in a stage now; `not_found` for what is not part of the run."""

    async def record(self, run_id: UUID, body: StageResult) -> None:
        """Record a result; repeating it changes nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request may need; made once per process, see `forge_api.server`."""

    configuration: ApiConfiguration
    database: Database
    storage: ObjectStore
    connection: Client
    verifier: TokenVerifier
    engine: WorkflowEngine
    deployments: Deployments
    stages: Stages
    feeds: RunFeeds
    limits: RateLimits
    metrics: Metrics
