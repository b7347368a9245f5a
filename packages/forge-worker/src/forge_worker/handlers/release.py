"""Release jobs: render, pack, push, sign."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml

from forge_oci.core.errors import OciError
from forge_oci.core.image import Image
from forge_oci.core.names import release_tag, repository_path
from forge_oci.core.release import pack_release
from forge_project import CommitTree
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import AttemptUpdate
from forge_sdk.models.artifacts import ArtifactRecord
from forge_sdk.models.payloads import ReleaseJobOutput, ReleasePayload
from forge_sdk.models.statuses import AttemptState
from forge_worker.checkpoints import Checkpoint, run_checkpoints
from forge_worker.git.cache import CachedCommit
from forge_worker.git.command import Git
from forge_worker.images import push_signed
from forge_worker.jobs import JobContext
from forge_worker.leases import leased
from forge_worker.logs import StepLog
from forge_worker.sealing.awaiting import signature_awaited

PHASE = "release"
COMPONENT = "release"
MAX_MESSAGE = 10_000


@dataclass(slots=True)
class ReleaseState:
    """What the checkpoints of one job share; a member is set by the checkpoint that its comment names."""

    context: JobContext
    payload: ReleasePayload
    log: StepLog
    source: dict[str, Any] = field(default_factory=dict)  # render
    files: dict[str, bytes] = field(default_factory=dict)  # render
    resources: tuple[str, ...] = ()  # pack
    image: Image | None = None  # pack
    repository: str = ""  # pack


class ReleaseHandler:
    """Makes the release image of a project at a commit; the same input gives the same image."""

    async def run(self, context: JobContext) -> ReleaseJobOutput:
        """Do the job; an image that is there with the same digest is completed, another one is `already_exists`."""
        payload = context.job.payload_as(ReleasePayload)
        async with context.log(PHASE, payload.project, "release") as log:
            state = ReleaseState(context, payload, log)
            checkpoints = [
                Checkpoint("release.render", render),
                Checkpoint("release.pack", pack),
                Checkpoint("release.push", push),
            ]
            await run_checkpoints(checkpoints, state, observer=context.services.observer, job_id=context.job.id)
            return ReleaseJobOutput(
                oci_uri=f"{state.repository}:{release_tag(context.job.commit_sha)}",
                oci_digest=_image(state).digest,
                resources=state.resources,
            )


async def render(state: ReleaseState) -> None:
    """Read the commit and render the project's resources with its artifacts."""
    job, payload, services = state.context.job, state.payload, state.context.services
    body = AttemptUpdate(job_id=job.id, token=state.context.token, state=AttemptState.PACKING)
    await services.api.update_attempt(payload.release_id, body)
    async with state.context.commit() as commit:
        state.source = await _source(commit)
        artifacts = {record.name: record.attributes() for record in payload.artifacts}
        tree = CommitTree(commit.git_directory, commit.sha)
        state.files = await services.project.render(tree, payload.project_path, artifacts)
    state.log.line(f"[forge] rendered {len(state.files)} files")


async def pack(state: ReleaseState) -> None:
    """Make the release image."""
    job, payload = state.context.job, state.payload
    summary = await asyncio.to_thread(summarise, state.files)
    state.resources = tuple(summary)
    kinds = Counter(entry.partition("/")[0] for entry in summary)
    metadata = {
        "repository": job.repository,
        "project": payload.project,
        "source": state.source,
        "artifacts": [_artifact(record) for record in sorted(payload.artifacts, key=lambda record: record.name)],
        "resources": {"count": len(summary), "kinds": dict(sorted(kinds.items()))},
    }
    prefix = state.context.services.configuration.registry.release_prefix
    try:
        state.repository = repository_path(prefix, job.repository, payload.project)
        state.image = await asyncio.to_thread(pack_release, metadata, state.files)
    except OciError as error:
        raise PlatformError(
            f"the release of {payload.project} can't be packed: {error}",
            code=ErrorCode.RELEASE_FAILED,
            component=COMPONENT,
        ) from error


async def push(state: ReleaseState) -> None:
    """Push the image by digest, sign it, then tag it with the commit."""
    services, image = state.context.services, _image(state)
    tag = release_tag(state.context.job.commit_sha)
    name = f"{state.repository}:{tag}"
    async with signature_awaited(state.context, state.payload.release_id), leased(state.context, name):
        await push_signed(services.registry, services.signer, image, state.repository, tag=tag)
    state.log.line(f"[forge] pushed {name}@{image.digest}")


def summarise(files: dict[str, bytes]) -> list[str]:
    """The objects in rendered files as `Kind/name`, sorted; raises `rendering_failed` for what is no Kubernetes object."""
    found = []
    for name, content in sorted(files.items()):
        try:
            documents = [document for document in yaml.safe_load_all(content) if document is not None]
            found += [f"{document['kind']}/{document['metadata']['name']}" for document in documents]
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise PlatformError(
                f"rendered file {name} holds something that is no Kubernetes object: it needs kind and metadata.name",
                code=ErrorCode.RENDERING_FAILED,
                component=COMPONENT,
            ) from error
    return sorted(found)


async def _source(commit: CachedCommit) -> dict[str, Any]:
    git = Git(commit.git_directory)
    shown = await git.run("show", "--no-patch", "--format=%an%x00%ae%x00%B", commit.sha, "--")
    name, email, message = shown.decode(errors="replace").split("\x00", 2)
    return {
        "commit": commit.sha,
        "author": {"name": name, "email": email},
        "message": message.strip()[:MAX_MESSAGE],
        "time": datetime.fromtimestamp(commit.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _artifact(record: ArtifactRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "type": record.type.value,
        "digest": record.digest,
        "tracking": {"uri": record.tracking_oci_uri, "digest": record.tracking_oci_digest},
    }


def _image(state: ReleaseState) -> Image:
    if state.image is None:
        raise RuntimeError("a checkpoint ran before the one that it depends on")
    return state.image
