"""The pointer that a deployment commits."""

from forge_api.database.deployments import Subject
from forge_sdk.models.payloads import DeploymentPayload
from forge_sdk.models.releases import ENVIRONMENT_LABEL, PointerAliases, PointerMetadata, PointerSpec, ReleasePointer


def payload(deployment: Subject, *, require_signature: bool) -> DeploymentPayload:
    """What the deployment's job needs; equal for every delivery, since nothing else becomes active meanwhile."""
    return DeploymentPayload(
        deployment_id=deployment.id,
        environment=deployment.environment,
        slug=deployment.slug,
        pointer=_pointer(deployment),
        must_descend_from=deployment.active_commit if deployment.intent is None else None,
        require_signature=require_signature,
    )


def _pointer(deployment: Subject) -> ReleasePointer:
    return ReleasePointer(
        metadata=PointerMetadata(
            name=deployment.project.lower(),
            namespace=deployment.slug,
            labels={ENVIRONMENT_LABEL: deployment.environment},
        ),
        spec=PointerSpec(
            repository=deployment.source.repository,
            project=deployment.project,
            release=deployment.source.commit_sha,
            digest=deployment.oci_digest,
            aliases=PointerAliases(
                numeric=deployment.release_number, tag=deployment.tag_alias, branch=deployment.branch_alias
            ),
            deployed_at=deployment.created_at,
            deployed_by=deployment.deployed_by,
        ),
    )
