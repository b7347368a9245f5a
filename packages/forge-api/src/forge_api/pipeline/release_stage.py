"""The release of one project in pieces, for dispatchers in processes of their own."""

from uuid import UUID

from forge_api.database.releases import ReleaseRow
from forge_api.deployments.manager import DeploymentManager
from forge_api.pipeline import planner
from forge_api.pipeline.facts import RunFacts
from forge_api.pipeline.failures import release_failed, run_failed
from forge_api.pipeline.means import Means
from forge_api.pipeline.recorder import Recorder
from forge_api.pipeline.releasing import jobs_left, publisher_warnings, release_recorded
from forge_api.pipeline.stage_answers import failed, not_in_stage, opened, skipped, succeeded
from forge_sdk.models.discovery import DiscoveredProject, DiscoveryDocument
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.models.payloads import ArtifactJobOutput
from forge_sdk.models.stages import Stage, StageJobs
from forge_sdk.models.statuses import AttemptState, ReleaseStatus, RunStatus


class ReleaseStage:
    """Artifact jobs first, then the release job, then automatic deployments."""

    def __init__(self, means: Means, deployments: DeploymentManager) -> None:
        self._means, self._deployments = means, deployments

    async def jobs(self, run: RunFacts, document: DiscoveryDocument, name: str) -> StageJobs:
        """What is to do now for the release of project `name`."""
        project = _released(run, document, name)
        if project is None:
            return skipped(Stage.RELEASE)
        recorder = self._recorder(run)
        found = await recorder.reserve(project)
        if found is None:
            return opened(Stage.RELEASE, [])
        if isinstance(found, ReleaseRow):
            return await self._existing(run, document, project, found)
        if found.has_failed:
            return failed(Stage.RELEASE, found.error)
        jobs = await self._artifact_jobs(run, document, project, found.release_id)
        if jobs:
            await recorder.move_attempt(found.release_id, AttemptState.BUILDING)
            return opened(Stage.RELEASE, jobs)
        await recorder.move_attempt(found.release_id, AttemptState.PACKING)
        job = await self._release_job(run, project, found.release_id)
        await recorder.expect_log(job, project.name, "release")
        return opened(Stage.RELEASE, [job])

    async def record(self, run: RunFacts, document: DiscoveryDocument, name: str, result: JobResult) -> None:
        """Record the result of an artifact job or of the release job."""
        project, recorder = _released(run, document, name), self._recorder(run)
        if project is None:
            raise not_in_stage(result.job_id, Stage.RELEASE)
        found = await recorder.reserve(project)
        if isinstance(found, ReleaseRow):
            if _completes(run, found):
                await self._record_completion(run, document, project, found, result)
            return
        if found is None or found.has_failed:
            return
        artifacts = planner.artifact_jobs(run, document, project, found.release_id, project.artifacts)
        release = await self._release_job(run, project, found.release_id)
        job = next((job for job in (*artifacts, release) if job.id == result.job_id), None)
        if job is None:
            raise not_in_stage(result.job_id, Stage.RELEASE)
        if result.status == "failed":
            what = f"{job.type} job failed"
            await recorder.fail_attempt(found.release_id, release_failed(project.name, what, result.error))
        elif result.succeeded and job.id == release.id:
            made = (found.release_id, job, result)
            warnings = await release_recorded(recorder, self._means.outputs, document, project, made)
            artifacts_made = await recorder.records(found.release_id)
            await recorder.warn([*publisher_warnings(run, project.name, artifacts_made), *warnings])
        elif result.succeeded:
            output = await self._means.outputs.read(job, result, ArtifactJobOutput)
            await recorder.keep_artifact(found.release_id, output)
            await recorder.warn(output.warnings)

    async def _existing(
        self, run: RunFacts, document: DiscoveryDocument, project: DiscoveredProject, release: ReleaseRow
    ) -> StageJobs:
        if _completes(run, release):
            left = await self._left(run, document, project, release)
            if left is not None:
                return opened(Stage.RELEASE, left)
        return await self._released(run, document, project, release)

    async def _left(
        self, run: RunFacts, document: DiscoveryDocument, project: DiscoveredProject, release: ReleaseRow
    ) -> list[Job] | None:
        """Jobs that complete a partial release, none while another run does; nothing when its state is recorded."""
        recorder = self._recorder(run)
        if not await recorder.take_up(release.id):
            return []
        if jobs := await self._artifact_jobs(run, document, project, release.id):
            return jobs
        await recorder.update_release(project, release)
        return None

    async def _record_completion(
        self,
        run: RunFacts,
        document: DiscoveryDocument,
        project: DiscoveredProject,
        release: ReleaseRow,
        result: JobResult,
    ) -> None:
        recorder = self._recorder(run)
        jobs = planner.artifact_jobs(run, document, project, release.id, project.artifacts)
        job = next((job for job in jobs if job.id == result.job_id), None)
        if job is None:
            raise not_in_stage(result.job_id, Stage.RELEASE)
        if result.succeeded:
            output = await self._means.outputs.read(job, result, ArtifactJobOutput)
            await recorder.keep_artifact(release.id, output)
            await recorder.warn(output.warnings)
        elif result.status == "failed":
            # What some publishers have done counts, and the next retry goes on from there.
            await recorder.update_release(project, release)
            error = release_failed(project.name, f"{job.type} job failed", result.error)
            await recorder.finish(RunStatus.FAILED, run_failed(error.message, error.to_detail()))

    async def _released(
        self, run: RunFacts, document: DiscoveryDocument, project: DiscoveredProject, release: ReleaseRow
    ) -> StageJobs:
        warnings = await self._recorder(run).add_event(document, project, release)
        made: list[UUID] = []
        if project.deployment:
            made, refused = await self._deployments.deploy_automatically(release.id, run)
            warnings = [*warnings, *refused]
        await self._recorder(run).warn(warnings)
        return succeeded(Stage.RELEASE, release=str(release.id), deployments=[str(found) for found in made])

    async def _artifact_jobs(
        self, run: RunFacts, document: DiscoveryDocument, project: DiscoveredProject, release_id: UUID
    ) -> list[Job]:
        return await jobs_left(self._recorder(run), run, document, project, release_id)

    async def _release_job(self, run: RunFacts, project: DiscoveredProject, release_id: UUID) -> Job:
        return planner.release_job(run, project, release_id, await self._recorder(run).records(release_id))

    def _recorder(self, run: RunFacts) -> Recorder:
        return Recorder(self._means.database, run, self._means.observer)


def _completes(run: RunFacts, release: ReleaseRow) -> bool:
    return release.status is ReleaseStatus.PARTIAL and run.retries


def _released(run: RunFacts, document: DiscoveryDocument, name: str) -> DiscoveredProject | None:
    found = planner.released_projects(document, run)
    return next((project for project in found if project.name == name), None)
