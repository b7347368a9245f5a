import uuid
from datetime import UTC, datetime

import pytest

from forge_sdk.configuration import GitOps
from forge_sdk.models.jobs import JobType
from forge_sdk.models.payloads import DeploymentPayload
from forge_sdk.models.releases import PointerAliases, PointerMetadata, PointerSpec, ReleasePointer
from forge_worker.handlers.deployment import DeploymentHandler


@pytest.fixture
def pointer():
    """Makes pointers of `acme/shop/api` in production."""

    def make(release="a" * 40, digest="b" * 64, **spec):
        fields = {
            "repository": "acme/shop",
            "project": "api",
            "release": release,
            "digest": f"sha256:{digest}",
            "aliases": PointerAliases(numeric=42, branch="main-42"),
            "deployed_at": datetime(2026, 1, 1, tzinfo=UTC),
            "deployed_by": "alice@example.com",
        }
        return ReleasePointer(
            metadata=PointerMetadata(
                name="api", namespace="shop-api", labels={"forge.projectcatalyst.io/environment": "production"}
            ),
            spec=PointerSpec(**{**fields, **spec}),
        )

    return make


@pytest.fixture
def configuration(configuration, gitops_remote):
    return configuration.model_copy(update={"gitops": GitOps(url=gitops_remote.url)})


@pytest.fixture
def deploy(jobs, pointer):
    async def run(wanted=None, number=1, environment="production", slug="shop-api", signed=False, **fields):
        payload = DeploymentPayload(
            deployment_id=uuid.UUID(int=number),
            environment=environment,
            slug=slug,
            pointer=wanted or pointer(),
            require_signature=signed,
            **fields,
        )
        job = jobs.job(JobType.DEPLOYMENT, payload, commit_sha=payload.pointer.spec.release)
        return await jobs.run(DeploymentHandler(), job)

    return run
