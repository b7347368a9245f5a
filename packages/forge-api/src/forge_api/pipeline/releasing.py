"""Makes the release of one project: artifacts in parallel, then the release image, then the record."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from forge_api.database.attempts import Attempt
from forge_api.database.releases import ReleaseRow
from forge_api.pipeline import planner
from forge_api.pipeline.dispatching import JobDispatcher
from forge_api.pipeline.facts import RunFacts
from forge_api.pipeline.failures import RunCancelled, release_failed, run_failed
from forge_api.pipeline.outputs import Outputs
from forge_api.pipeline.recorder import Recorder
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.artifacts import ArtifactRecord, PublisherResult
from forge_sdk.models.discovery import DiscoveredProject, DiscoveryDocument
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.models.payloads import ArtifactJobOutput, ReleaseJobOutput
from forge_sdk.models.statuses import AttemptState, ReleaseStatus

OTHER_RUN_POLL_S = 1.0
OTHER_RUN_LIMIT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Releasing:
    """What all releases of a run share."""

    run: RunFacts
    document: DiscoveryDocument
    dispatcher: JobDispatcher
    recorder: Recorder
    outputs: Outputs
    warnings: list[str] = field(default_factory=list)

    async def make(self, project: DiscoveredProject) -> UUID:
        """The id of the project's release, made where there is none.

        Raises `PlatformError` (`release_failed`, recorded in the attempt) where it can't be made, `RunCancelled`.
        """
        found = await self._reserve(project)
        if isinstance(found, ReleaseRow):
            if found.status is ReleaseStatus.PARTIAL and self.run.retries:
                await self._complete(project, found)
            self.warnings.extend(await self.recorder.add_event(self.document, project, found))
            return found.id
        if found.has_failed:
            raise release_failed(project.name, "its attempt has failed before", found.error)
        try:
            await self._carry_out(project, found.release_id)
        except PlatformError as error:
            if error.code is ErrorCode.RELEASE_FAILED:
                await self.recorder.fail_attempt(found.release_id, error)
            raise
        return found.release_id

    async def _complete(self, project: DiscoveredProject, release: ReleaseRow) -> None:
        await self._take_up(release.id)
        try:
            artifacts = await self._artifacts(project, release.id)
        finally:
            # What some publishers have done counts, whatever became of the others.
            await self.recorder.update_release(project, release)
        self.warnings.extend(publisher_warnings(self.run, project.name, artifacts))

    async def _take_up(self, release_id: UUID) -> None:
        async with asyncio.timeout(OTHER_RUN_LIMIT_S):
            while True:
                if await self.recorder.take_up(release_id):
                    return
                await asyncio.sleep(OTHER_RUN_POLL_S)

    async def _reserve(self, project: DiscoveredProject) -> Attempt | ReleaseRow:
        async with asyncio.timeout(OTHER_RUN_LIMIT_S):
            while True:
                found = await self.recorder.reserve(project)
                if found is not None:
                    return found
                await asyncio.sleep(OTHER_RUN_POLL_S)

    async def _carry_out(self, project: DiscoveredProject, release_id: UUID) -> None:
        artifacts = await self._artifacts(project, release_id)
        self.warnings.extend(publisher_warnings(self.run, project.name, artifacts))
        await self.recorder.move_attempt(release_id, AttemptState.PACKING)
        job = planner.release_job(self.run, project, release_id, artifacts)
        await self.recorder.expect_log(job, project.name, "release")
        [result] = await self.dispatcher.run([job])
        _require_success(result, project.name, "the release image could not be made")
        made = (release_id, job, result)
        self.warnings.extend(await release_recorded(self.recorder, self.outputs, self.document, project, made))

    async def _artifacts(self, project: DiscoveredProject, release_id: UUID) -> Sequence[ArtifactRecord]:
        jobs = await jobs_left(self.recorder, self.run, self.document, project, release_id)
        if jobs:
            await self.recorder.move_attempt(release_id, AttemptState.BUILDING)
            await self._run_artifact_jobs(project, release_id, jobs)
        return await self.recorder.records(release_id)

    async def _run_artifact_jobs(self, project: DiscoveredProject, release_id: UUID, jobs: Sequence[Job]) -> None:
        by_id = {job.id: job for job in jobs}

        async def on_result(result: JobResult) -> None:
            if result.succeeded:
                output = await self.outputs.read(by_id[result.job_id], result, ArtifactJobOutput)
                self.warnings.extend(output.warnings)
                await self.recorder.keep_artifact(release_id, output)

        results = await self.dispatcher.run(jobs, on_result=on_result)
        ordered = sorted(zip(jobs, results, strict=True), key=lambda pair: pair[1].status != "failed")
        for job, result in ordered:
            name = planner.artifact_name(job)
            _require_success(result, project.name, f"artifact {name} could not be made")


async def jobs_left(
    recorder: Recorder, run: RunFacts, document: DiscoveryDocument, project: DiscoveredProject, release_id: UUID
) -> list[Job]:
    """The artifact jobs that a run still has to run for an attempt.

    What this run has made stands, also where a publisher failed; what an earlier one made is gone on with.
    """
    rebuilds = run.release_request is not None and run.release_request.rebuild
    made = {found.record.name: found for found in await recorder.made(release_id)}
    done = {
        name for name, found in made.items() if found.run_id == run.id or not (rebuilds or _unfinished(found.record))
    }
    published = {} if rebuilds else {name: _succeeded(found.record) for name, found in made.items()}
    missing = [artifact for artifact in project.artifacts if artifact.name not in done]
    return planner.artifact_jobs(run, document, project, release_id, missing, published=published)


async def release_recorded(
    recorder: Recorder,
    outputs: Outputs,
    document: DiscoveryDocument,
    project: DiscoveredProject,
    made: tuple[UUID, Job, JobResult],
) -> list[str]:
    """Record the release that a job (id of the release, job, result) has made; the warnings that arose."""
    release_id, job, result = made
    image = await outputs.read(job, result, ReleaseJobOutput)
    artifacts = await recorder.records(release_id)
    return await recorder.record_release(document, project, release_id, image, artifacts)


def _require_success(result: JobResult, project: str, what: str) -> None:
    if result.status == "cancelled":
        raise RunCancelled
    if not result.succeeded:
        raise release_failed(project, what, result.error)


def publisher_warnings(run: RunFacts, project: str, artifacts: Sequence[ArtifactRecord]) -> list[str]:
    """What the publishers of a project's artifacts have not done, each with the command that goes on."""
    release = f"{run.source.repository}/{project} {run.source.commit_sha[:12]}"
    return [
        f"publisher {result.publisher} of artifact {record.name} of {project} failed: {_sentence(result.error)}; "
        f"the release is partial, go on with: forge release retry {release}"
        for record in artifacts
        for result in record.publishers
        if not result.succeeded
    ]


def _sentence(error: ErrorDetail | None) -> str:
    return error.message if error is not None else "no reason given"


def _unfinished(record: ArtifactRecord) -> bool:
    return not all(result.succeeded for result in record.publishers)


def _succeeded(record: ArtifactRecord) -> tuple[PublisherResult, ...]:
    return tuple(result for result in record.publishers if result.succeeded)


def require_requested(document: DiscoveryDocument, run: RunFacts, released: Sequence[DiscoveredProject]) -> None:
    """Raises `run_failed` where the project that is to be released does not exist at the commit."""
    if run.release_request is None or released:
        return
    names = ", ".join(sorted(project.name for project in document.projects)) or "none"
    raise run_failed(
        f"project {run.release_request.project} does not exist at commit {run.source.commit_sha}; there are: {names}",
        None,
    )
