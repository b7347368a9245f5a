"""Artifact jobs: build, verify, seal, publish. Each checkpoint may be repeated after a crash."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from forge_oci.core.names import repository_path, tracking_tag
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError, as_platform_error
from forge_sdk.models.api import AttemptUpdate
from forge_sdk.models.artifacts import ArtifactRecord, CreateArtifactRequest, CreateArtifactResponse, PublisherResult
from forge_sdk.models.payloads import ArtifactJobOutput, ArtifactPayload
from forge_sdk.models.statuses import AttemptState
from forge_sdk.plugins import Producer
from forge_sdk.storage_keys import staging_prefix
from forge_worker.beside import beside
from forge_worker.checkpoints import Checkpoint, run_checkpoints
from forge_worker.execution import ExecutionFacts
from forge_worker.jobs import JobContext
from forge_worker.leases import leased
from forge_worker.ledger import Ledger
from forge_worker.logs import StepLog
from forge_worker.plugin_contexts import producer_context
from forge_worker.publications import attach_publications
from forge_worker.publishing import Publishing, Target, preflight, targets
from forge_worker.sbom import Sbom, make_sbom
from forge_worker.sealing.awaiting import signature_awaited
from forge_worker.sealing.copies import Built, SealedCopies
from forge_worker.sealing.facts import sealed_facts
from forge_worker.sealing.tracking import Sealed, check_sealed, seal, tracking_name
from forge_worker.settings import validated
from forge_worker.staging import job_folder
from forge_worker.verification import VerifiedArtifact, verify_artifact

COMPONENT = "artifact"
PHASE = "artifact"
Value = TypeVar("Value")


@dataclass(slots=True)
class ArtifactState:
    """What the checkpoints of one job share; a member is set by the checkpoint that its comment names."""

    context: JobContext
    payload: ArtifactPayload
    log: StepLog
    resources: AsyncExitStack
    staging: Path
    scratch: Path
    copies: SealedCopies
    warnings: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)  # preflight
    built: Built | None = None  # restore, else build
    is_restored: bool = False  # restore
    worktree: Path | None = None  # checkout
    environment: dict[str, str] = field(default_factory=dict)  # checkout
    verified: VerifiedArtifact | None = None  # verify
    sbom: Sbom | None = None  # scan
    sealed: Sealed | None = None  # seal
    ledger: Ledger | None = None  # publish
    results: tuple[PublisherResult, ...] = ()  # publish

    async def reached(self, state: AttemptState) -> None:
        """Tell the API how far the release has come."""
        body = AttemptUpdate(job_id=self.context.job.id, token=self.context.token, state=state, logs_key=self.log.key)
        await self.context.services.api.update_attempt(self.payload.release_id, body)

    def warn(self, message: str) -> None:
        """Keep a warning for the result and the log."""
        self.warnings.append(message)
        self.log.line(f"[forge] warning: {message}")


class ArtifactHandler:
    """Builds, seals and publishes one artifact of a release."""

    def __init__(self) -> None:
        self._scans = asyncio.Semaphore(os.cpu_count() or 1)

    async def run(self, context: JobContext) -> ArtifactJobOutput:
        """Do the job; publishers that fail are recorded in the result, everything else that fails fails the job."""
        payload = context.job.payload_as(ArtifactPayload)
        workspace = context.services.configuration.cache.workspace
        prefix = staging_prefix(payload.release_id, payload.project, payload.artifact.name)
        async with (
            context.log(PHASE, payload.project, payload.artifact.name) as log,
            job_folder(workspace) as staging,
            job_folder(workspace) as scratch,
            AsyncExitStack() as resources,
        ):
            copies = SealedCopies(context.services.storage, prefix)
            state = ArtifactState(context, payload, log, resources, staging, scratch, copies)
            try:
                await run_checkpoints(
                    self._checkpoints(), state, observer=context.services.observer, job_id=context.job.id
                )
            except PlatformError as error:
                log.line(f"[forge] {context.masker.text(error.message)}")
                raise
            return _output(state)

    def _checkpoints(self) -> list[Checkpoint[ArtifactState]]:
        return [
            Checkpoint("artifact.preflight", check_publishers),
            Checkpoint("artifact.restore", restore),
            Checkpoint("artifact.checkout", check_out),
            Checkpoint("artifact.build", build),
            Checkpoint("artifact.verify", verify),
            Checkpoint("artifact.scan", self._scan),
            Checkpoint("artifact.seal", seal_artifact),
            Checkpoint("artifact.publish", publish),
            Checkpoint("artifact.attach", attach),
        ]

    async def _scan(self, state: ArtifactState) -> None:
        """Make the SBOM, one at a time for each core; an artifact without one is a warning."""
        verified, payload = _set(state.verified), state.payload
        if state.is_restored and await self._is_sealed(state):
            return
        async with self._scans:
            try:
                state.sbom = await make_sbom(
                    verified,
                    state.staging,
                    state.scratch,
                    name=f"{state.context.job.repository}/{payload.project}/{payload.artifact.name}",
                    version=state.context.job.commit_sha,
                )
            except PlatformError as error:
                state.warn(f"no SBOM: {error.message}")

    async def _is_sealed(self, state: ArtifactState) -> bool:
        """Whether the tracking image is there, with the SBOM of the try that made it."""
        job, payload, services = state.context.job, state.payload, state.context.services
        prefix = services.configuration.registry.tracking_prefix
        repository = repository_path(prefix, job.repository, payload.project, payload.artifact.name)
        return await services.registry.resolve(repository, tracking_tag(job.commit_sha)) is not None


async def check_publishers(state: ArtifactState) -> None:
    """Validate every publisher's configuration and let it check credentials and target, before anything is built."""
    await state.reached(AttemptState.BUILDING)
    standing = {result.publisher for result in state.payload.published}
    state.targets = [target for target in targets(state.context, state.payload) if target.name not in standing]
    _producer(state)
    for warning in await preflight(state.context, state.payload, state.targets, state.log):
        state.warn(warning)


async def restore(state: ArtifactState) -> None:
    """Take the files of an earlier try's sealed copy, so that a retry does not build again."""
    if state.payload.rebuild:
        return
    record = await state.copies.record(state.context.job.commit_sha)
    if record is not None and await state.copies.restore(record, state.staging):
        state.built, state.is_restored = record.built, True
        state.log.line("[forge] taken from the sealed copy of an earlier try, not built again")


async def check_out(state: ArtifactState) -> None:
    """Check the commit out and prepare the environment of the build."""
    if state.built is not None:
        return
    job, payload = state.context.job, state.payload
    commit = await state.resources.enter_async_context(state.context.commit())
    state.worktree = await state.resources.enter_async_context(state.context.worktree(commit))
    facts = ExecutionFacts(
        repository=job.repository,
        commit_sha=job.commit_sha,
        commit_time=commit.time,
        run_id=str(job.run_id),
        job_id=str(job.id),
        project=payload.project,
        project_path=payload.project_path,
        branch=job.git.branch,
        tag=job.git.tag,
        extra={"FORGE_ARTIFACT": payload.artifact.name},
    )
    environments = state.context.services.environments
    state.environment = await state.resources.enter_async_context(environments.prepared(facts))


async def build(state: ArtifactState) -> None:
    """Let the producer build into the staging directory."""
    if state.worktree is None:
        return
    producer = _producer(state)
    started_at = datetime.now(UTC)
    response = await _create(state, producer, state.worktree)
    state.built = Built(response=response, started_at=started_at, built_at=datetime.now(UTC))


async def verify(state: ArtifactState) -> None:
    """Compare what the producer claims with what is there."""
    response = _set(state.built).response
    state.verified = await verify_artifact(state.payload.artifact, state.payload.project, response, state.staging)


async def seal_artifact(state: ArtifactState) -> None:
    """Keep a copy of the files, and push and sign the tracking image beside it; nothing is published without both."""
    verified, built, services = _set(state.verified), _set(state.built), state.context.services
    facts = sealed_facts(state.context, state.payload, built)
    prefix = services.configuration.registry.tracking_prefix
    if not state.is_restored:
        # Another build than the one that was sealed must not take the place of its copy.
        await check_sealed(services.registry, verified, facts, prefix=prefix)
    image = tracking_name(facts, prefix)
    # To its end also where the signer is away: the next try goes on from the copy.
    async with (
        beside(state.copies.store(verified, built, state.context.job.commit_sha)) as copied,
        signature_awaited(state.context, state.payload.release_id),
        leased(state.context, image),
    ):
        state.sealed = await seal(
            services.registry, services.signer, verified, facts, prefix=prefix, sbom=state.sbom, copied=copied
        )
    state.log.line(f"[forge] sealed as {state.sealed.uri}@{state.sealed.descriptor.digest}")
    await state.reached(AttemptState.SEALED)


async def publish(state: ArtifactState) -> None:
    """Publish to all open targets in parallel, with a row of the ledger before and after each; what stands is left alone."""
    verified = _set(state.verified)
    state.ledger = Ledger(state.context, state.payload.release_id, state.payload.artifact.name, verified)
    state.ledger.adopt(state.payload.published)
    state.results = _in_order(state.payload, state.payload.published)
    if not state.targets:
        return
    await state.reached(AttemptState.PUBLISHING)
    publishing = Publishing(
        context=state.context,
        payload=state.payload,
        artifact=_set(state.built).response,
        staging=state.staging,
        worktree=state.worktree,
        ledger=state.ledger,
        log=state.log,
    )
    made = await publishing.run(state.targets)
    state.results = _in_order(state.payload, (*state.payload.published, *made))
    for result in made:
        if result.error is not None:
            state.warn(f"publisher {result.publisher} failed: {result.error.message}")


async def attach(state: ArtifactState) -> None:
    """Record the published locations beside the tracking image."""
    rows = _set(state.ledger).rows()
    if rows:
        services, sealed = state.context.services, _set(state.sealed)
        async with leased(state.context, sealed.uri):
            await attach_publications(services.registry, services.signer, sealed, rows)


def _in_order(payload: ArtifactPayload, results: Iterable[PublisherResult]) -> tuple[PublisherResult, ...]:
    """In the order of the source text, which says whose uri is the artifact's own."""
    found = {result.publisher: result for result in results}
    return tuple(found[used.name] for used in payload.artifact.publishers if used.name in found)


def _producer(state: ArtifactState) -> Producer:
    artifact = state.payload.artifact
    producer = state.context.services.plugins.producer(artifact.producer)
    if artifact.type not in producer.artifact_types:
        raise ConfigurationError(
            f"producer {producer.name!r} can't build artifacts of type {artifact.type.value}", component=COMPONENT
        )
    validated(producer.configuration, artifact.configuration, f"producer {producer.name!r} of {artifact.name!r}")
    return producer


async def _create(state: ArtifactState, producer: Producer, worktree: Path) -> CreateArtifactResponse:
    job, payload = state.context.job, state.payload
    request = CreateArtifactRequest(
        project=payload.project,
        project_path=str(worktree / payload.project_path),
        repository=job.repository,
        repository_path=str(worktree),
        commit_sha=job.commit_sha,
        release_id=payload.release_id,
        artifact=payload.artifact,
        staging_path=str(state.staging),
    )
    try:
        return await producer.create(request, producer_context(state.context, producer, state.log, state.environment))
    except Exception as error:  # noqa: BLE001 - the fence: whatever a plugin raises is told with its name and the log
        failure = as_platform_error(error, component=producer.name, code=ErrorCode.BUILD_FAILED)
        failure.context.setdefault("logs_key", state.log.key)
        failure.context.setdefault("log_tail", state.log.tail())
        raise failure from error.__cause__ if failure is error else error


def _output(state: ArtifactState) -> ArtifactJobOutput:
    built, sealed = _set(state.built), _set(state.sealed)
    artifact = ArtifactRecord(
        name=state.payload.artifact.name,
        type=state.payload.artifact.type,
        digest=_set(state.verified).digest,
        output=built.response.output,
        tracking_oci_uri=sealed.uri,
        tracking_oci_digest=sealed.descriptor.digest,
        publishers=state.results,
        built_at=built.built_at,
    )
    return ArtifactJobOutput(artifact=artifact, logs_key=state.log.key, warnings=tuple(state.warnings))


def _set(value: Value | None) -> Value:
    if value is None:
        raise RuntimeError("a checkpoint ran before the one that it depends on")
    return value
