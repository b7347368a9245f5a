"""The real engine on real PostgreSQL, NATS and S3; a scripted worker answers the jobs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import nats.errors
import pytest
import yaml
from nats.aio.client import Client
from pydantic import BaseModel

from forge_api.database import deployment_view, release_runs, release_view, repositories, run_view, runs
from forge_api.database.origin import Origin
from forge_api.database.pool import Database
from forge_api.database.rate_limits import Budget
from forge_api.deployments.environments import Environments
from forge_api.engine.local import EngineSettings, LocalEngine
from forge_api.engine.port import RunPlan
from forge_api.pipeline.requests import ReleaseRequest
from forge_dispatch import Dispatcher, DispatcherSettings
from forge_dispatch.connection import connect
from forge_sdk.configuration import Nats, Storage
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.messaging import CONTROL_BUCKET, JOBS_BUCKET, QUEUES, Queue, cancel_key, job_cancel_key
from forge_sdk.models.api import CreateDeployment, CreateRun, Deployment, RegisterRepository, Release, Run
from forge_sdk.models.artifacts import ArchiveFile, ArchiveOutput, ArtifactRecord, PublisherResult
from forge_sdk.models.discovery import (
    ArtifactDefinition,
    ArtifactPublisher,
    DiscoveredProject,
    DiscoveryDocument,
    MatchedTrigger,
    PhaseDefinition,
    PhaseGroup,
    ProjectPhase,
    PublisherDefinition,
    RepositoryConfiguration,
    StepDefinition,
)
from forge_sdk.models.jobs import Job, JobEntry, JobEntryState, JobResult
from forge_sdk.models.payloads import (
    ArtifactJobOutput,
    ArtifactPayload,
    CiOutput,
    CiPayload,
    DeploymentJobOutput,
    DeploymentPayload,
    ReleaseJobOutput,
    ReleasePayload,
    StepOutcome,
)
from forge_sdk.models.statuses import DeploymentStatus, ExecutionStatus, RunStatus, TriggerType
from forge_sdk.object_storage import S3ObjectStore
from forge_sdk.retry import RetryPolicy
from forge_sdk.storage_keys import result_key

SHA = "0123456789abcdef0123456789abcdef01234567"
BUDGET = Budget("runs", 1000, "runs")
DIGEST = "sha256:" + "a" * 64
FAST = DispatcherSettings(
    sweep_interval_s=0.2,
    cancel_grace_s=3,
    request_timeout_s=2,
    backoff=RetryPolicy(attempts=20, base_delay=0.05, max_delay=0.3, jitter=0.01),
)


async def until(condition: Callable[[], Any], timeout: float = 20) -> Any:
    async with asyncio.timeout(timeout):
        while True:
            answer = condition()
            answer = await answer if isinstance(answer, Awaitable) else answer
            if answer:
                return answer
            await asyncio.sleep(0.02)


def project(name: str, *phases: str, artifacts: tuple[str, ...] = (), **values: Any) -> DiscoveredProject:
    """A project with one step named `run` in each phase; with artifacts it is released by a push to main."""
    trigger = MatchedTrigger(trigger_type="branch_push", branch="main")
    return DiscoveredProject(
        name=name,
        path=f"services/{name}",
        phases=tuple(
            ProjectPhase(name=phase, waves=((StepDefinition(name="run", action="command"),),)) for phase in phases
        ),
        artifacts=tuple(
            ArtifactDefinition(
                name=artifact, type="archive", producer="command", publishers=(ArtifactPublisher(name="index"),)
            )
            for artifact in artifacts
        ),
        triggers=values.pop("triggers", (trigger,)),
        release_triggered=bool(artifacts),
        deployment=True,
        **values,
    )


def document(*projects: DiscoveredProject, **values: Any) -> DiscoveryDocument:
    """Phases `check` in group 1, `test` and `scan` in group 2."""
    phases = (
        PhaseDefinition(name="check", group=1),
        PhaseDefinition(name="test", group=2, timeout_s=600),
        PhaseDefinition(name="scan", group=2),
    )
    return DiscoveryDocument(
        repository=RepositoryConfiguration(
            forge_version="v0.1.0",
            tagging_strategy=values.pop("tagging_strategy", "monorepo"),
            phases=phases,
            publishers=(PublisherDefinition(name="index", type="pypi"),),
        ),
        projects=projects,
        phase_groups=(PhaseGroup(group=1, phases=("check",)), PhaseGroup(group=2, phases=("test", "scan"))),
        release_projects=tuple(found.name for found in projects if found.artifacts),
        **values,
    )


def label(job: Job) -> str:
    """`discovery`, `ci test/api`, `artifact api/wheel`, `release api`, `deployment dev/api`."""
    payload = job.payload
    match job.type:
        case "ci":
            return f"ci {payload['phase']}/{payload['project']}"
        case "artifact":
            return f"artifact {payload['project']}/{payload['artifact']['name']}"
        case "release":
            return f"release {payload['project']}"
        case "deployment":
            return f"deployment {payload['environment']}/{payload['pointer']['spec']['project']}"
    return "discovery"


def failure(message: str, code: ErrorCode = ErrorCode.BUILD_FAILED) -> PlatformError:
    return PlatformError(message, code=code, component="worker")


class ScriptedWorker:
    """Answers jobs by their label: by default with success.

    `fail[label]` is an error, `hold` are labels that wait (those of `held_commits`, where there are any) until they are
    released or cancelled, `publishers[label]` are errors of an artifact's publisher. With `parents`, the graph of commits, deployments that don't descend from what
    they must are refused; `pointers` are the commits that each environment has held.
    """

    def __init__(self, connection: Client, storage: S3ObjectStore) -> None:
        self.connection, self.storage = connection, storage
        self.document = document()
        self.fail: dict[str, PlatformError] = {}
        self.publishers: dict[str, PlatformError] = {}
        self.hold: set[str] = set()
        self.held_commits: set[str] = set()
        self.running: set[str] = set()
        self.most = 0
        """The most jobs that ran at once."""
        self.executed: list[str] = []
        self.published: list[str] = []
        self.jobs: dict[str, Job] = {}
        self.inline_discovery = False
        self.parents: dict[str, tuple[str, ...]] | None = None
        self.pointers: dict[str, list[str]] = {}
        self._stopping = False

    async def __aenter__(self) -> Self:
        self.jetstream = self.connection.jetstream(timeout=2)
        self.entries = await self.jetstream.key_value(JOBS_BUCKET)
        self.control = await self.jetstream.key_value(CONTROL_BUCKET)
        self.tasks = [asyncio.create_task(self._loop(queue)) for queue in QUEUES for _ in range(4)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        for task in self.tasks:
            task.cancel()
        found = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert not [error for error in found if isinstance(error, Exception)], found

    async def _loop(self, queue: Queue) -> None:
        subscription = await self.jetstream.pull_subscribe_bind(queue.consumer, queue.stream)
        while not self._stopping:
            try:
                [message] = await subscription.fetch(1, timeout=1)
            except nats.errors.TimeoutError:
                continue
            await self._handle(message)

    async def _handle(self, message: Any) -> None:
        job = Job.model_validate_json(message.data)
        now = datetime.now(UTC)
        claim = JobEntry(state=JobEntryState.CLAIMED, worker="scripted", claimed_at=now)
        with contextlib.suppress(nats.errors.Error):
            revision = await self.entries.create(str(job.id), claim.model_dump_json().encode())
            result = await self._execute(job, message)
            done = claim.model_copy(update={"state": JobEntryState.FINISHED, "result": result})
            await self.entries.update(str(job.id), done.model_dump_json().encode(), last=revision)
            await self.connection.publish(job.reply_to, result.model_dump_json().encode())
        await message.ack()

    async def _execute(self, job: Job, message: Any) -> JobResult:
        name = label(job)
        self.executed.append(name)
        self.jobs[name] = job
        self.running.add(name)
        self.most = max(self.most, len(self.running))
        cancelled = await self._cancelled(job)
        while name in self.hold and job.commit_sha in (self.held_commits or {job.commit_sha}) and not cancelled:
            await message.in_progress()
            await asyncio.sleep(0.02)
            cancelled = await self._cancelled(job)
            # asyncio.wait_for of Python 3.11 may lose a cancellation that meets its result.
            if self._stopping:
                raise asyncio.CancelledError
        self.running.discard(name)
        if cancelled:
            return self._result(job, "cancelled")
        if job.type == "deployment":
            refusal = self._move_pointer(name, job.payload_as(DeploymentPayload)) if name not in self.fail else None
            if refusal is not None:
                return self._result(job, "failed", error=refusal.to_detail())
        if name in self.fail:
            return self._result(job, "failed", self._output(job, failed=True), error=self.fail[name].to_detail())
        if name == "discovery" and not self.inline_discovery:
            key = result_key(job.run_id, job.id)
            await self.storage.put(key, self.document.model_dump_json().encode())
            return self._result(job, "success", output_ref=key)
        return self._result(job, "success", self._output(job))

    def _result(self, job: Job, status: str, output: BaseModel | None = None, **values: Any) -> JobResult:
        now = datetime.now(UTC)
        return JobResult(
            job_id=job.id,
            status=status,
            output=output.model_dump(mode="json") if output is not None else None,
            started_at=now,
            finished_at=now,
            worker="scripted",
            **values,
        )

    def _output(self, job: Job, *, failed: bool = False) -> BaseModel | None:
        match job.type:
            case "ci":
                return self._ci(job, failed=failed)
            case _ if failed:
                return None
            case "artifact":
                return self._artifact(job)
            case "release":
                payload = job.payload_as(ReleasePayload)
                return ReleaseJobOutput(oci_uri=f"acme/shop/{payload.project}:{job.commit_sha}", oci_digest=DIGEST)
            case "deployment":
                payload = job.payload_as(DeploymentPayload)
                return DeploymentJobOutput(gitops_commit_sha=payload.deployment_id.hex + "0" * 8, changed=True)
        return self.document

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether `ancestor` is reachable from `commit` in the graph."""
        assert self.parents is not None
        return commit == ancestor or any(self.descends(parent, ancestor) for parent in self.parents[commit])

    def _move_pointer(self, name: str, payload: DeploymentPayload) -> PlatformError | None:
        commit, base = payload.pointer.spec.release, payload.must_descend_from
        if self.parents is not None and base is not None and not self.descends(commit, base):
            return failure(f"{commit} does not descend from {base}", ErrorCode.DEPLOYMENT_REFUSED)
        self.pointers.setdefault(name, []).append(commit)
        return None

    def _ci(self, job: Job, *, failed: bool) -> CiOutput:
        steps = [step for wave in job.payload_as(CiPayload).waves for step in wave]
        status = ExecutionStatus.FAILED if failed else ExecutionStatus.SUCCESS
        now = datetime.now(UTC)
        return CiOutput(
            steps=tuple(
                StepOutcome(
                    step_id=step.id,
                    name=step.name,
                    status=status,
                    exit_code=int(failed),
                    logs_key=f"pipeline-logs/{job.run_id}/{step.name}.log",
                    started_at=now,
                    finished_at=now,
                    error=self.fail[label(job)].to_detail() if failed else None,
                )
                for step in steps
            )
        )

    def _artifact(self, job: Job) -> ArtifactJobOutput:
        payload = job.payload_as(ArtifactPayload)
        error = self.publishers.get(label(job))
        file = ArchiveFile(path="a.whl", format="whl", size=1, digest=DIGEST)
        return ArtifactJobOutput(
            artifact=ArtifactRecord(
                name=payload.artifact.name,
                type=payload.artifact.type,
                digest=DIGEST,
                output=ArchiveOutput(files=(file,)),
                tracking_oci_uri=f"acme/shop/{payload.project}/{payload.artifact.name}:sha-{job.commit_sha}",
                tracking_oci_digest=DIGEST,
                publishers=tuple(self._published(payload, found.name, error) for found in payload.publishers),
                built_at=datetime.now(UTC),
            )
        )

    def _published(self, payload: ArtifactPayload, publisher: str, error: PlatformError | None) -> PublisherResult:
        stands = next((found for found in payload.published if found.publisher == publisher), None)
        if stands is not None:
            return stands
        self.published.append(f"{payload.artifact.name} to {publisher}")
        return PublisherResult(
            publisher=publisher,
            uri="" if error else f"https://index.test/{payload.artifact.name}",
            error=error.to_detail() if error else None,
            files=({"file": "a.whl", "digest": DIGEST, "state": "failed" if error else "published"},),
        )

    async def _cancelled(self, job: Job) -> bool:
        for key in (cancel_key(job.run_id), job_cancel_key(job.run_id, job.id)):
            with contextlib.suppress(nats.js.errors.KeyNotFoundError):
                await self.control.get(key)
                return True
        return False


class RecordingObserver:
    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.phases: list[str] = []

    def run_ended(self, status: RunStatus, trigger_type: TriggerType, seconds: float) -> None:
        assert seconds >= 0
        self.runs.append((status.value, trigger_type.value))

    def phases_ended(self, phases: Iterable[tuple[str, float]]) -> None:
        self.phases += [status for status, _ in phases]


class Platform:
    """What tests do: create runs, wait for their end, look at them."""

    def __init__(
        self, database: Database, new_engine: Callable[[], Any], worker: ScriptedWorker, observer: "RecordingObserver"
    ) -> None:
        self.database, self.new_engine, self.worker, self.observer = database, new_engine, worker, observer
        self.engine: LocalEngine

    async def create_run(self, sha: str = SHA, **values: Any) -> UUID:
        body = CreateRun(**{"repository": "acme/shop", "commit_sha": sha, "branch": "main", **values})
        async with self.database.transaction() as connection:
            run, _ = await runs.get_or_create(connection, body, Origin("alice"), BUDGET)
        return run.id

    async def start(self, **values: Any) -> UUID:
        run_id = await self.create_run(**values)
        await self.engine.submit(RunPlan(run_id))
        return run_id

    async def run(self, **values: Any) -> Run:
        return await self.finished(await self.start(**values))

    async def finished(self, run_id: UUID) -> Run:
        async def ended() -> bool:
            return (await self.engine.status(run_id)).finished and run_id not in self.engine._tasks

        await until(ended)
        return await self.view(run_id)

    async def view(self, run_id: UUID) -> Run:
        return await self.database.read(lambda connection: run_view.find(connection, run_id))

    async def request(self, environment: str, release: str | None = None, **values: Any) -> Deployment:
        body = CreateDeployment(
            **{"environment": environment, "repository": "acme/shop", "project": "api", "release": release, **values}
        )
        return await self.engine.deployments.request(body, Origin("bob", "request-7"))

    async def request_release(self, sha: str = SHA, **values: Any) -> UUID:
        """A run that has only the release stage of api."""
        request = ReleaseRequest(**{"project": "api", **values})
        async with self.database.transaction() as connection:
            found = await repositories.find(connection, "acme/shop")
            run, _ = await release_runs.get_or_create(connection, found["id"], sha, request, Origin("carol"))
        await self.engine.submit(RunPlan(run.id))
        return run.id

    async def release(self, reference: str) -> Release:
        async def query(connection: Any) -> Release:
            found = await release_view.find(connection, "acme/shop", "api", reference)
            return await release_view.with_ledger(connection, found)

        return await self.database.read(query)

    async def until(self, condition: Callable[[], Any], timeout: float = 20) -> Any:
        return await until(condition, timeout)

    async def running(self, *labels: str) -> None:
        await until(lambda: self.worker.running >= set(labels))

    async def nothing_waits(self, pool: str) -> bool:
        """Whether every published job of a pool is with a worker."""
        found = [queue for queue in QUEUES if queue.pool == pool]
        pending = [await self.worker.jetstream.consumer_info(queue.stream, queue.consumer) for queue in found]
        return not any(info.num_pending for info in pending)

    async def deployed(self, deployment_id: UUID) -> Deployment:
        async def ended() -> Deployment | None:
            found = await self.database.read(lambda connection: deployment_view.find(connection, deployment_id))
            return found if found.status not in {DeploymentStatus.PENDING, DeploymentStatus.QUEUED} else None

        return await until(ended)

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        async with self.database.connection() as connection:
            return await connection.fetch(query, *arguments)


@pytest.fixture
async def messages(nats_with_streams: str) -> AsyncIterator[Client]:
    """A connection to the server of all tests, whose streams are empty; entries have ids, so they may stay."""
    opened = await connect(Nats(url=nats_with_streams), "test")
    jetstream = opened.jetstream()
    await asyncio.gather(*(jetstream.purge_stream(queue.stream) for queue in QUEUES))
    yield opened
    await opened.close()


@pytest.fixture
def storage(shared_bucket: Any, tmp_path: Path) -> S3ObjectStore:
    keys = {}
    for name in ("access_key", "secret_key"):
        file = tmp_path / f"storage-{name}"
        file.write_text(getattr(shared_bucket, name))
        file.chmod(0o600)
        keys[f"{name}_file"] = file
    return S3ObjectStore(
        Storage(
            endpoint_url=shared_bucket.endpoint_url, region=shared_bucket.region, bucket=shared_bucket.bucket, **keys
        )
    )


@pytest.fixture
def environments_file(tmp_path: Path) -> Path:
    file = tmp_path / "environments.yaml"
    content = {
        "dev": {"promotion_policy": {"auto_deploy": True, "allow_partial": True}},
        "staging": {"promotion_policy": {"allowed_branches": ["main", "release/*"]}},
        "production": {"promotion_policy": {"allowed_triggers": ["tag"]}},
        "approved": {"promotion_policy": {"requires_approval": True}},
        "last": {"promotion_policy": {"after": ["staging"]}},
    }
    file.write_text(yaml.safe_dump({"environments": content}))
    return file


@pytest.fixture
async def worker(messages: Client, storage: S3ObjectStore) -> AsyncIterator[ScriptedWorker]:
    async with ScriptedWorker(messages, storage) as started:
        yield started


@pytest.fixture
async def platform(
    database: Database, messages: Client, storage: S3ObjectStore, environments_file: Path, worker: ScriptedWorker
) -> AsyncIterator[Platform]:
    async with database.transaction() as connection:
        body = RegisterRepository(repository="acme/shop", clone_url="https://github.com/acme/shop.git")
        await repositories.register(connection, body, "alice")

    @asynccontextmanager
    async def new_engine(*, leads: bool = True) -> AsyncIterator[LocalEngine]:
        async with Dispatcher(messages, FAST) as dispatcher:
            environments = Environments(environments_file)
            settings = EngineSettings("http://forge.test/", observer, repository_share=1.0, leads=leads)
            async with LocalEngine(database, dispatcher, storage, environments, settings) as engine:
                yield engine

    observer = RecordingObserver()
    made = Platform(database, new_engine, worker, observer)
    async with new_engine() as made.engine:
        yield made


@pytest.fixture
def make_project() -> Callable[..., DiscoveredProject]:
    return project


@pytest.fixture
def make_document() -> Callable[..., DiscoveryDocument]:
    return document


@pytest.fixture
def make_error() -> Callable[..., PlatformError]:
    return failure
