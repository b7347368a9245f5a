"""What the handlers of requests use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nats.aio.client import Client

from forge_api.auth.verifier import TokenVerifier
from forge_api.database.pool import Database
from forge_api.engine.port import WorkflowEngine
from forge_api.metrics import Metrics
from forge_sdk.configuration import ApiConfiguration
from forge_sdk.models.api import Deployment, Environment
from forge_sdk.object_storage import ObjectStore


class Deployments(Protocol):
    """Takes requests for deployments and knows the environments."""

    async def request(
        self, environment: str, repository: str, project: str, release_reference: str, actor: str
    ) -> Deployment:
        """The new deployment, or the one that is there already; `deployment_refused` says which policy is not met."""

    def environments(self) -> Sequence[Environment]:
        """The environments as configured now."""


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
    metrics: Metrics
