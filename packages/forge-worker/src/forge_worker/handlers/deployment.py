"""Deployment jobs: the pointer of a release in the GitOps repository, never backwards and never to a release that doesn't hold."""

import re
from dataclasses import dataclass

from forge_sdk.errors import AuthenticationError, ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.payloads import DeploymentJobOutput, DeploymentPayload
from forge_sdk.models.releases import ReleasePointer
from forge_sdk.secrets import Secret
from forge_worker.checkpoints import Checkpoint, run_checkpoints
from forge_worker.git.ancestry import is_descendant
from forge_worker.gitops import Change, Committed, GitOpsRepository
from forge_worker.jobs import JobContext
from forge_worker.pointers import commit_message, decode_pointer, encode_pointer, names_same_release
from forge_worker.release_check import verify_release

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
            checkpoints = [
                Checkpoint("deployment.verify", verify),
                Checkpoint("deployment.check", check),
                Checkpoint("deployment.push", push),
            ]
            await run_checkpoints(checkpoints, state, observer=context.services.observer, job_id=context.job.id)
            committed = state.committed
            if committed is None:
                raise RuntimeError("the checkpoint set no commit")
            what = "committed" if committed.changed else "was there already"
            log.line(f"[forge] {state.change.path}: {what}, commit {committed.sha}")
        return DeploymentJobOutput(gitops_commit_sha=committed.sha, changed=committed.changed)


async def verify(state: DeploymentState) -> None:
    """See whether the release image is signed by the platform, whole, and of the release that the pointer names."""
    if state.payload.require_signature:
        await verify_release(state.context.services, state.payload.pointer.spec)


async def check(state: DeploymentState) -> None:
    """Refuse a release that does not come after the one that the platform knows to be deployed."""
    required = state.payload.must_descend_from
    if required is not None:
        await _must_follow(state.context, state.payload, required)


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
        check=lambda present: _check_present(context, payload, present),
    )


async def _check_present(context: JobContext, payload: DeploymentPayload, present: bytes | None) -> None:
    """What the repository holds counts as well: another job, or a person, may have moved the pointer meanwhile."""
    found = decode_pointer(present)
    if payload.must_descend_from is not None and found is not None and _is_of_project(found, payload):
        await _must_follow(context, payload, found.spec.release)


async def _must_follow(context: JobContext, payload: DeploymentPayload, deployed: str) -> None:
    spec, environment = payload.pointer.spec, payload.environment
    async with context.commit() as commit:
        if await is_descendant(commit.git_directory, spec.release, deployed):
            return
    raise PlatformError(
        f"{environment} holds {deployed} of {spec.repository}/{spec.project}, and {spec.release} does not descend from it: "
        "to go back use --rollback, to go sideways --allow-divergent",
        code=ErrorCode.DEPLOYMENT_REFUSED,
        component=COMPONENT,
        context={"deployed": deployed, "release": spec.release, "environment": environment},
    )


def _is_of_project(found: ReleasePointer, payload: DeploymentPayload) -> bool:
    ours = payload.pointer.spec
    return (found.spec.repository, found.spec.project) == (ours.repository, ours.project)
