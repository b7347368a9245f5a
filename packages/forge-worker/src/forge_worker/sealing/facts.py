"""What the tracking image of a job's artifact says about source and build."""

from typing import Any

from forge_sdk.models.payloads import ArtifactPayload
from forge_worker.jobs import JobContext
from forge_worker.sealing.copies import Built
from forge_worker.sealing.tracking import BUILDER, Facts, timestamp


def sealed_facts(context: JobContext, payload: ArtifactPayload, built: Built) -> Facts:
    """The facts of the artifact that `built` describes, as this job knows them."""
    job = context.job
    reference = f"@{job.git.ref}" if job.git.ref else ""
    mode = "embedded" if context.services.configuration.allow_local_repositories else "isolated"
    return Facts(
        repository=job.repository,
        project=payload.project,
        artifact=payload.artifact.name,
        commit=job.commit_sha,
        source_uri=f"git+{job.clone_url}{reference}",
        builder=f"{BUILDER}/{mode}/v1",
        invocation=str(job.id),
        started_at=built.started_at,
        built_at=built.built_at,
        metadata=_metadata(context, payload, built),
        parameters={
            "repository": job.repository,
            "project": payload.project,
            "artifact": payload.artifact.model_dump(mode="json", by_alias=True),
        },
    )


def _metadata(context: JobContext, payload: ArtifactPayload, built: Built) -> dict[str, Any]:
    job, artifact = context.job, payload.artifact
    return {
        "artifact": {
            "name": artifact.name,
            "project": payload.project,
            "type": artifact.type.value,
            "output": built.response.output.model_dump(mode="json", exclude_none=True),
            "metadata": built.response.metadata,
        },
        "source": {
            "repository": job.repository,
            "commit": job.commit_sha,
            "branch": job.git.branch,
            "tag": job.git.tag,
        },
        "build": {
            "run": str(job.run_id),
            "job": str(job.id),
            "producer": {"name": artifact.producer, **_distribution(context, artifact.producer)},
            "startedAt": timestamp(built.started_at),
            "finishedAt": timestamp(built.built_at),
        },
    }


def _distribution(context: JobContext, producer: str) -> dict[str, str]:
    for description in context.services.plugins.descriptions:
        if (description.kind, description.name) == ("producer", producer):
            return {"distribution": description.distribution, "version": description.version}
    return {}
