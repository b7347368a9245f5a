"""Applies what happened to the database: statuses, releases, the end of a run; each change in one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from pydantic import JsonValue

from forge_api.database import attempts, audit, executions, logs, outbox, projects, releases
from forge_api.database.attempts import Attempt, MadeArtifact
from forge_api.database.executions import TaskEnd
from forge_api.database.pool import Connection, Database
from forge_api.database.releases import NewRelease, ReleaseRow
from forge_api.pipeline import planner
from forge_api.pipeline.facts import RunFacts, TaskRow
from forge_api.pipeline.naming import branch_alias, tag_alias
from forge_api.pipeline.observing import Observer
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import canonical_release
from forge_sdk.models.artifacts import ArtifactRecord
from forge_sdk.models.discovery import DiscoveredProject, DiscoveryDocument
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.models.payloads import ArtifactJobOutput, CiOutput, ReleaseJobOutput
from forge_sdk.models.statuses import AliasType, AttemptState, ExecutionStatus, ReleaseStatus, RunStatus
from forge_sdk.retry import RetryPolicy

Result = TypeVar("Result")
RECORD_RETRY = RetryPolicy(attempts=12, base_delay=0.2, max_delay=15.0, jitter=0.3)
"""About a minute and a half; after it the record can't be kept, and the run is errored."""


class Recorder:
    """Writes of one run. Every method may be called again: what is recorded already stays as it is."""

    def __init__(self, database: Database, run: RunFacts, observer: Observer) -> None:
        self._database = database
        self._run = run
        self._observer = observer
        self._origin = run.origin

    async def start(self) -> None:
        """The run is being carried out."""
        await self._write(lambda connection: executions.start(connection, self._run.id))

    async def expect_log(self, job: Job, project: str, step: str) -> None:
        """A job without steps is about to be published; its log can be followed from now on."""
        await self._write(lambda connection: logs.expect_job_log(connection, job, project, step))

    async def keep_plan(self, document: DiscoveryDocument, discovery_ref: str) -> None:
        """Record the discovery: its document's key, its projects, and the rows of phases, tasks and steps."""
        plan = planner.plan(self._run, document, discovery_ref)

        async def change(connection: Connection) -> None:
            if await executions.keep_plan(connection, self._run.id, plan):
                await self._see_projects(connection, document)

        await self._write(change)

    async def start_group(self, group: int) -> None:
        """The phases of a group are running."""
        await self._write(lambda connection: executions.start_group(connection, self._run.id, group))

    async def end_group(self, group: int) -> None:
        """All tasks of a group have ended."""
        ended = await self._write(lambda connection: executions.end_group(connection, self._run.id, group))
        self._observer.phases_ended(ended)

    async def end_task(
        self, task: TaskRow, result: JobResult, output: CiOutput | None, error: ErrorDetail | None = None
    ) -> None:
        """Record what became of a task; `error` is its chain where it failed."""
        steps = output.steps if output is not None else ()
        times = (result.started_at, result.finished_at)
        end = TaskEnd(ExecutionStatus(result.status), times, steps, error)
        await self._write(lambda connection: executions.end_task(connection, task.id, end))

    async def reserve(self, project: DiscoveredProject) -> Attempt | ReleaseRow | None:
        """The project's release at this commit, else the run's attempt, else nothing: another run makes the release."""

        async def change(connection: Connection) -> Attempt | ReleaseRow | None:
            project_id = await projects.id_of(connection, self._run.repository_id, project.name)
            commit_sha = self._run.source.commit_sha
            found = await releases.find(connection, project_id, commit_sha)
            if found is not None:
                return found
            return await attempts.reserve(connection, self._run.id, project_id, commit_sha, project.artifacts)

        return await self._write(change)

    async def take_up(self, release_id: UUID) -> bool:
        """Complete a partial release; false while another run does."""
        return await self._write(lambda connection: attempts.take_up(connection, self._run.id, release_id))

    async def made(self, release_id: UUID) -> list[MadeArtifact]:
        """The artifacts of an attempt that were made, with the run that did it."""
        return await self._write(lambda connection: attempts.made(connection, release_id))

    async def update_release(self, project: DiscoveredProject, release: ReleaseRow) -> None:
        """Record what the publishers of an existing release have done since."""

        async def change(connection: Connection) -> None:
            artifacts = await attempts.records(connection, release.id)
            if await releases.update(connection, release.id, artifacts):
                await self._tell_completion(connection, project, release)

        await self._write(change)

    async def records(self, release_id: UUID) -> list[ArtifactRecord]:
        """The artifacts of an attempt that were made."""
        return await self._write(lambda connection: attempts.records(connection, release_id))

    async def keep_artifact(self, release_id: UUID, output: ArtifactJobOutput) -> None:
        """Record an artifact that was made."""
        await self._write(
            lambda connection: attempts.keep_record(connection, release_id, output.artifact, output.logs_key)
        )

    async def move_attempt(self, release_id: UUID, state: AttemptState) -> None:
        """Say how far an attempt has come."""
        await self._write(lambda connection: attempts.move(connection, release_id, state))

    async def fail_attempt(self, release_id: UUID, error: PlatformError) -> None:
        """An attempt has failed."""
        await self._write(lambda connection: attempts.fail(connection, release_id, error.to_detail()))

    async def record_release(
        self,
        document: DiscoveryDocument,
        project: DiscoveredProject,
        release_id: UUID,
        image: ReleaseJobOutput,
        artifacts: Sequence[ArtifactRecord],
    ) -> list[str]:
        """Record the release with number, aliases, triggers and artifacts; the warnings that arose."""

        async def change(connection: Connection) -> list[str]:
            project_id = await projects.id_of(connection, self._run.repository_id, project.name)
            found = await releases.find(connection, project_id, self._run.source.commit_sha)
            if found is None:
                new = self._new_release(project_id, release_id, image, artifacts)
                found = await releases.record(connection, new)
                warnings = await self._name(connection, document, project, project_id, found)
                await self._tell(connection, project, found, new)
                return warnings
            return await self._name(connection, document, project, project_id, found)

        return await self._write(change)

    async def add_event(
        self, document: DiscoveryDocument, project: DiscoveredProject, release: ReleaseRow
    ) -> list[str]:
        """Give an existing release the triggers and aliases of this run's event; the warnings that arose."""

        async def change(connection: Connection) -> list[str]:
            project_id = await projects.id_of(connection, self._run.repository_id, project.name)
            return await self._name(connection, document, project, project_id, release)

        return await self._write(change)

    async def warn(self, warnings: Sequence[str]) -> None:
        """Add warnings to the run, where there are any."""
        if warnings:
            await self._write(lambda connection: executions.warn(connection, self._run.id, warnings))

    async def cancelled(self, warnings: Sequence[str] = ()) -> None:
        """End the run as cancelled, with the reason."""
        message = await self._write(lambda connection: executions.cancellation(connection, self._run.id))
        error = PlatformError(message, code=ErrorCode.CANCELLED, component="pipeline")
        await self.finish(RunStatus.CANCELLED, error, warnings)

    async def finish(self, status: RunStatus, error: PlatformError | None = None, warnings: Sequence[str] = ()) -> None:
        """End the run, and what is below it; the error is given the trace's id, by which logs name the run."""
        if error is not None and error.trace_id is None:
            error.trace_id = self._origin.trace_id
        detail = error.to_detail() if error is not None else None

        async def change(connection: Connection) -> float | None:
            seconds = await executions.finish(connection, self._run.id, status, detail, warnings)
            if seconds is None:
                return None
            if detail is not None:
                await attempts.fail_open(connection, self._run.id, detail)
            data = self._run_data(status, detail.message if detail else None)
            subject = f"run/{self._run.id}"
            await outbox.record(connection, "pipeline.run.completed", subject, data, trace=self._run.source.trace)
            await audit.record(connection, self._origin, "run.completed", subject, after={"status": status.value})
            return seconds

        seconds = await self._write(change)
        if seconds is not None:
            self._observer.run_ended(status, self._run.source.git.event, seconds)

    def _new_release(
        self, project_id: UUID, release_id: UUID, image: ReleaseJobOutput, artifacts: Sequence[ArtifactRecord]
    ) -> NewRelease:
        return NewRelease(
            id=release_id,
            repository_id=self._run.repository_id,
            project_id=project_id,
            commit_sha=self._run.source.commit_sha,
            run_id=self._run.id,
            status=releases.status_of(artifacts),
            image=image,
            created_by=self._run.triggered_by,
            artifacts=artifacts,
        )

    async def _see_projects(self, connection: Connection, document: DiscoveryDocument) -> None:
        source = self._run.source
        await projects.see(connection, self._run.repository_id, source.repository, source.commit_sha, document.projects)

    async def _name(
        self,
        connection: Connection,
        document: DiscoveryDocument,
        project: DiscoveredProject,
        project_id: UUID,
        release: ReleaseRow,
    ) -> list[str]:
        for trigger in project.triggers:
            await releases.add_trigger(connection, release.id, trigger, self._run.triggered_by, self._run.id)
        wanted = self._aliases(document, project, release)
        return [
            f"release {release.number} of {project.name} could not get the alias {alias}: another release has it"
            for alias_type, alias in wanted
            if not await releases.add_alias(connection, release.id, project_id, alias, alias_type)
        ]

    def _aliases(
        self, document: DiscoveryDocument, project: DiscoveredProject, release: ReleaseRow
    ) -> list[tuple[AliasType, str]]:
        wanted = [(AliasType.NUMERIC, str(release.number))]
        git = self._run.source.git
        if git.tag and document.repository and (alias := tag_alias(document.repository, project.name, git.tag)):
            wanted.append((AliasType.TAG, alias))
        if git.branch:
            wanted.append((AliasType.BRANCH, branch_alias(git.branch, release.number)))
        if self._run.release_request is not None:
            wanted += [(AliasType.CUSTOM, alias) for alias in self._run.release_request.aliases]
        return wanted

    async def _tell_completion(self, connection: Connection, project: DiscoveredProject, release: ReleaseRow) -> None:
        source, subject = self._run.source, f"release/{release.id}"
        data: dict[str, JsonValue] = {
            "id": str(release.id),
            "canonical_id": canonical_release(source.repository, project.name, source.commit_sha),
            "release_number": release.number,
            "status": ReleaseStatus.COMPLETE.value,
            "run_id": str(self._run.id),
        }
        await outbox.record(connection, "release.completed", subject, data, trace=source.trace)
        await audit.record(connection, self._origin, "release.completed", subject, after=data)

    async def _tell(
        self, connection: Connection, project: DiscoveredProject, release: ReleaseRow, new: NewRelease
    ) -> None:
        source = self._run.source
        data: dict[str, JsonValue] = {
            "id": str(release.id),
            "canonical_id": canonical_release(source.repository, project.name, source.commit_sha),
            "release_number": release.number,
            "status": new.status.value,
            "oci_uri": new.image.oci_uri,
            "oci_digest": new.image.oci_digest,
            "run_id": str(self._run.id),
        }
        subject = f"release/{release.id}"
        await outbox.record(connection, "release.created", subject, data, trace=source.trace)
        await audit.record(connection, self._origin, "release.created", subject, after=data)

    def _run_data(self, status: RunStatus, error: str | None) -> Mapping[str, JsonValue]:
        source = self._run.source
        return {
            "id": str(self._run.id),
            "repository": source.repository,
            "commit_sha": source.commit_sha,
            "branch": source.git.branch,
            "tag": source.git.tag,
            "status": status.value,
            "error": error,
        }

    async def _write(self, change: Callable[[Connection], Awaitable[Result]]) -> Result:
        return await durable(self._database, change)


async def durable(database: Database, change: Callable[[Connection], Awaitable[Result]]) -> Result:
    """The result of `change` in a transaction, tried again while the database is away.

    A commit whose answer was lost is repeated, so `change` must stand a second time.
    """

    async def once() -> Result:
        async with database.transaction() as connection:
            return await change(connection)

    return await RECORD_RETRY.call(once)
