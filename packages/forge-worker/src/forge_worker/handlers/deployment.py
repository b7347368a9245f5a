"""Deployment jobs: the pointer of a release in the GitOps repository."""

import re
from dataclasses import dataclass

from forge_sdk.errors import AuthenticationError, ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.payloads import DeploymentJobOutput, DeploymentPayload
from forge_sdk.secrets import Secret
from forge_worker.checkpoints import Checkpoint, run_checkpoints
from forge_worker.gitops import Change, Committed, GitOpsRepository
from forge_worker.jobs import JobContext
from forge_worker.pointers import commit_message, encode_pointer, names_same_release

PHASE = "deployment"
POINTER_FILE = "release.yaml"
COMPONENT = "deployment"
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(slots=True)
class DeploymentState:
    """What the checkpoints of one job share."""

    context: JobContext
    payload: DeploymentPayload
    change: Change
    committed: Committed | None = None  # push


class DeploymentHandler:
    """Commits the pointer, unless the history holds this deployment or the file names the release already."""

    async def run(self, context: JobContext) -> DeploymentJobOutput:
        """Do the job; a failure names the GitOps repository's own words."""
        payload = context.job.payload_as(DeploymentPayload)
        state = DeploymentState(context, payload, _change(context, payload))
        async with context.log(PHASE, payload.pointer.spec.project, payload.environment) as log:
            checkpoints = [Checkpoint("deployment.push", push)]
            await run_checkpoints(checkpoints, state, observer=context.services.observer, job_id=context.job.id)
            committed = state.committed
            if committed is None:
                raise RuntimeError("the checkpoint set no commit")
            what = "committed" if committed.changed else "was there already"
            log.line(f"[forge] {state.change.path}: {what}, commit {committed.sha}")
        return DeploymentJobOutput(gitops_commit_sha=committed.sha, changed=committed.changed)


async def push(state: DeploymentState) -> None:
    """Bring the pointer to the GitOps repository."""
    configuration = state.context.services.configuration

    async def credentials() -> Secret | None:
        reference = configuration.gitops.credentials
        return await state.context.secret(reference, purpose="gitops") if reference is not None else None

    repository = GitOpsRepository(configuration.gitops, configuration.cache.workspace / "gitops", credentials)
    try:
        state.committed = await repository.commit(state.change)
    except AuthenticationError as error:
        raise AuthenticationError(
            f"the GitOps repository refused the worker: check gitops.credentials of its configuration: {error.message}",
            component=COMPONENT,
        ) from error
    except PlatformError as error:
        if error.code is not ErrorCode.GIT_FAILED:
            raise
        environment = state.payload.environment
        raise type(error)(
            f"the pointer of {environment} could not be pushed to the GitOps repository: {error.message}",
            code=ErrorCode.DEPLOYMENT_FAILED,
            component=COMPONENT,
        ) from error


def _change(context: JobContext, payload: DeploymentPayload) -> Change:
    root = [part for part in context.services.configuration.gitops.root.split("/") if part]
    for part in (*root, payload.environment, payload.slug):
        if not _SEGMENT.fullmatch(part):
            raise ConfigurationError(f"{part!r} can't be a folder of the GitOps repository", component=COMPONENT)
    folder = "/".join([*root, payload.environment])
    pointer = payload.pointer
    return Change(
        deployment_id=payload.deployment_id,
        folder=folder,
        path=f"{folder}/{payload.slug}/{POINTER_FILE}",
        content=encode_pointer(pointer),
        message=lambda present: commit_message(pointer, payload.environment, present, payload.deployment_id),
        same=lambda present: names_same_release(present, pointer),
    )
