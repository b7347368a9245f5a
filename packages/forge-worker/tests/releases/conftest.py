"""A small platform for artifact, release and deployment jobs: registry, storage, git, a recording API, test plugins."""

import asyncio
import hashlib
import os
import subprocess
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from forge_oci.core.keys import PublicKey, write_key_pair
from forge_oci.registry import KeySigner, RegistryClient
from forge_sdk.client import ApiClient
from forge_sdk.client.tokens import StaticToken
from forge_sdk.errors import AlreadyExists
from forge_sdk.models.artifacts import (
    ArchiveFile,
    ArchiveOutput,
    CreateArtifactResponse,
    PreflightResponse,
    PublishArtifactResponse,
    PublishedFile,
)
from forge_sdk.models.base import ClosedModel
from forge_sdk.models.discovery import ArtifactDefinition, ArtifactPublisher, PublisherDefinition
from forge_sdk.models.jobs import GitContext, Job, JobType
from forge_sdk.models.payloads import ArtifactPayload
from forge_sdk.models.statuses import ArtifactType, PublicationState
from forge_sdk.plugins.manager import Plugins
from forge_sdk.retry import RetryPolicy
from forge_sdk.secrets import Secret
from forge_worker.jobs import JobContext, Services

REPOSITORY = "acme/Shop"


class StopError(Exception):
    """A crash between two checkpoints."""


class StoppingObserver:
    """Raises at one checkpoint, once; keeps the names of all."""

    def __init__(self) -> None:
        self.stop_at: str | None = None
        self.names: list[str] = []

    async def before(self, name: str, job_id: uuid.UUID) -> None:
        self.names.append(name)
        self._stop(f"{name}:before")

    async def after(self, name: str, job_id: uuid.UUID) -> None:
        self._stop(f"{name}:after")

    def _stop(self, moment: str) -> None:
        if moment == self.stop_at:
            self.stop_at = None
            raise StopError(moment)


@dataclass
class PlatformApi:
    """Records requests in order; `failures` are statuses that are answered first."""

    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stale: bool = False
    leases: list[tuple[str, int]] = field(default_factory=list)
    leased_elsewhere: int = 0
    """So many requests for a lease come too early."""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        if request.path.endswith("/leases"):
            return web.json_response({"held": self._lease(body)})
        self.requests.append((request.path.rpartition("/")[2], body))
        if self.stale:
            error = {"error": {"code": "stale_token", "message": "a newer delivery of this job exists"}}
            return web.json_response(error, status=409)
        return web.json_response({})

    def _lease(self, body: dict[str, Any]) -> bool:
        if body["seconds"] and self.leased_elsewhere:
            self.leased_elsewhere -= 1
            return False
        self.leases.append((body["subject"], body["seconds"]))
        return bool(body["seconds"])

    @property
    def states(self) -> list[str]:
        return [body["state"] for kind, body in self.requests if kind == "state"]

    @property
    def ledger(self) -> dict[tuple[str, str], list[str]]:
        """States of each row, in the order in which they were written."""
        rows: dict[tuple[str, str], list[str]] = {}
        for kind, body in self.requests:
            if kind == "publications":
                for row in body["rows"]:
                    rows.setdefault((row["publisher"], row["file"]), []).append(row["state"])
        return rows


@pytest.fixture
def platform_api() -> PlatformApi:
    return PlatformApi()


@pytest.fixture
async def api(platform_api: PlatformApi) -> AsyncIterator[ApiClient]:
    application = web.Application()
    application.router.add_route("PUT", "/v1/internal/attempts/{release}/{kind}", platform_api.handle)
    application.router.add_route("PUT", "/v1/internal/leases", platform_api.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    retry = RetryPolicy(attempts=2, base_delay=0.01, jitter=0)
    async with ApiClient(f"http://127.0.0.1:{port}", StaticToken(Secret("token")), retry=retry) as client:
        yield client
    await runner.cleanup()


class BuildConfiguration(ClosedModel):
    files: tuple[str, ...] = ("tool.zip",)


class Builder:
    """A producer that copies `content` of the commit into archives, with the flaws that a test asks for."""

    name = "builder"
    artifact_types = frozenset({ArtifactType.ARCHIVE})
    configuration: type[BaseModel] = BuildConfiguration
    settings: type[BaseModel] | None = None
    schema = "{}"

    def __init__(self) -> None:
        self.builds = 0
        self.reproducible = True
        self.flaw: Callable[[Path, list[ArchiveFile]], list[ArchiveFile]] = lambda staging, files: files
        self.staging = Path()

    async def create(self, request: Any, context: Any) -> CreateArtifactResponse:
        self.builds += 1
        self.staging = Path(request.staging_path)
        await context.execute(["sh", "-c", "echo building $FORGE_ARTIFACT"], cwd=Path(request.project_path))
        content = (Path(request.project_path) / "content").read_bytes()
        if not self.reproducible:
            content += os.urandom(8)
        files = []
        for name in BuildConfiguration.model_validate(request.artifact.configuration).files:
            data = content + name.encode()
            (self.staging / name).write_bytes(data)
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            files.append(ArchiveFile(path=name, format="zip", size=len(data), digest=digest))
        files = self.flaw(self.staging, files)
        output = ArchiveOutput.model_construct(files=tuple(files))
        return CreateArtifactResponse.model_construct(
            name=request.artifact.name, project=request.project, type=request.artifact.type, output=output, metadata={}
        )


class ShelfRepository(ClosedModel):
    shelf: str
    credentials: Any = None


class ShelfProject(ClosedModel):
    pass


class ShelfOutputs(BaseModel):
    shelf: str


class Shelf:
    """A publisher whose target is a dictionary of this object: immutable names, as indexes have them."""

    name = "shelf"
    artifact_types = frozenset({ArtifactType.ARCHIVE})
    repository_configuration: type[BaseModel] = ShelfRepository
    project_configuration: type[BaseModel] = ShelfProject
    outputs: type[BaseModel] = ShelfOutputs
    settings: type[BaseModel] | None = None
    repository_schema = "{shelf!: string}"
    project_schema = "{}"

    def __init__(self) -> None:
        self.content: dict[tuple[str, str], str] = {}
        self.writes: Counter[tuple[str, str]] = Counter()
        self.preflight_error: Exception | None = None
        self.errors: dict[str, Exception] = {}
        self.barrier: asyncio.Barrier | None = None

    async def preflight(self, request: Any, context: Any) -> PreflightResponse:
        if self.preflight_error is not None:
            raise self.preflight_error
        return PreflightResponse()

    async def publish(self, request: Any, context: Any) -> PublishArtifactResponse:
        shelf = request.repo_config["shelf"]
        if self.barrier is not None:
            async with asyncio.timeout(10):
                await self.barrier.wait()
        if shelf in self.errors:
            raise self.errors[shelf]
        files = [await self._put(shelf, file, context) for file in request.artifact.output.files]
        return PublishArtifactResponse(uri=f"shelf://{shelf}", metadata={"shelf": shelf}, files=tuple(files))

    async def _put(self, shelf: str, file: Any, context: Any) -> PublishedFile:
        key = (shelf, file.path)
        existing = self.content.get(key)
        if existing not in {None, file.digest}:
            raise AlreadyExists(f"{file.path} is taken", existing_digest=str(existing), digest=file.digest)
        if existing is None:
            self.content[key] = file.digest
            self.writes[key] += 1
        state = PublicationState.PUBLISHED if existing is None else PublicationState.IDENTICAL
        published = PublishedFile(file=file.path, digest=file.digest, state=state, uri=f"shelf://{shelf}/{file.path}")
        await context.file_published(published)
        return published


class Vault:
    """A secret resolver that knows one secret."""

    name = "vault"
    schema = "{path!: string}"
    settings: type[BaseModel] | None = None

    class Reference(ClosedModel):
        path: str

    configuration: type[BaseModel] = Reference

    async def resolve(self, reference: Any, context: Any) -> Secret:
        return Secret({"publishers/acme/Shop/token": "value-of-the-token"}[reference.fields["path"]])


@pytest.fixture
def builder() -> Builder:
    return Builder()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def plugins(builder: Builder, shelf: Shelf) -> Plugins:
    return Plugins(producers={"builder": builder}, publishers={"shelf": shelf}, secret_resolvers={"vault": Vault()})


@pytest.fixture
def observer() -> StoppingObserver:
    return StoppingObserver()


@pytest.fixture
async def registry(oci_registry: Any) -> AsyncIterator[RegistryClient]:
    async with RegistryClient(oci_registry.host, plain_http=True) as client:
        yield client


@pytest.fixture
def signing_key(tmp_path: Path) -> PublicKey:
    return write_key_pair(tmp_path / "forge.key", tmp_path / "forge.pub").public_key


@pytest.fixture
def configuration(configuration: Any, oci_registry: Any) -> Any:
    # The registry lives for the whole session: a prefix of its own keeps the tests apart.
    prefix = f"t{uuid.uuid4().hex[:12]}"
    registry = {"host": oci_registry.host, "plain_http": True, "tracking_prefix": prefix, "release_prefix": prefix}
    changed = configuration.registry.model_copy(update=registry)
    return configuration.model_copy(update={"registry": changed})


@dataclass
class Jobs:
    """Makes jobs and runs them with a handler, as deliveries of one worker."""

    services: Services
    commit: str
    clone_url: str
    token: int = 0

    async def run(self, handler: Any, job: Job) -> Any:
        self.token += 1
        context = JobContext(job, self.token, self.services)
        async with asyncio.timeout(120):
            return await handler.run(context)

    def job(self, kind: JobType, payload: BaseModel, **changes: Any) -> Job:
        fields: dict[str, Any] = {
            "id": uuid.uuid5(uuid.NAMESPACE_URL, payload.model_dump_json()),
            "type": kind,
            "run_id": uuid.UUID(int=1),
            "repository": REPOSITORY,
            "clone_url": self.clone_url,
            "commit_sha": self.commit,
            "git": GitContext(ref="refs/heads/main", branch="main"),
            "payload": payload.model_dump(mode="json", by_alias=True),
        }
        return Job(**{**fields, **changes})

    def artifact(
        self,
        *shelves: str,
        files: tuple[str, ...] = ("tool.zip",),
        release: int = 7,
        commit: str | None = None,
        **payload_fields: Any,
    ) -> Job:
        definition = ArtifactDefinition(
            name="tool",
            type=ArtifactType.ARCHIVE,
            producer="builder",
            configuration={"files": list(files)},
            publishers=tuple(ArtifactPublisher(name=name) for name in shelves),
        )
        payload = ArtifactPayload(
            release_id=uuid.UUID(int=release),
            project="api",
            project_path="services/api",
            artifact=definition,
            publishers=tuple(
                PublisherDefinition(name=name, type="shelf", configuration={"shelf": name}) for name in shelves
            ),
            **payload_fields,
        )
        return self.job(JobType.ARTIFACT, payload, commit_sha=commit or self.commit)


@pytest.fixture
def jobs(
    make_services: Callable[..., Services],
    source: Any,
    storage: Any,
    api: ApiClient,
    registry: RegistryClient,
    signing_key: PublicKey,
    observer: StoppingObserver,
    tmp_path: Path,
) -> Jobs:
    commit = source.commit({"services/api/content": "the content"})
    services = make_services(
        storage=storage,
        api=api,
        registry=registry,
        signer=KeySigner(tmp_path / "forge.key"),
        observer=observer,
    )
    return Jobs(services, commit, source.url)


@pytest.fixture
def no_sbom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syft needs two seconds for anything: one test uses the real one."""
    monkeypatch.setattr("forge_worker.sbom.syft_program", lambda: None)


class GitOpsRemote:
    """A bare GitOps repository with one environment."""

    def __init__(self, path: Path, git: Callable[..., str]) -> None:
        self.path, self._git = path, git

    @property
    def url(self) -> str:
        return str(self.path)

    def git(self, *arguments: str) -> str:
        return self._git("--git-dir", str(self.path), *arguments)

    def file(self, path: str) -> str:
        return self.git("show", f"main:{path}")

    def commits(self) -> list[str]:
        return self.git("log", "--format=%H", "main").splitlines()


@pytest.fixture
def gitops_remote(make_source: Callable[[str], Any], tmp_path: Path) -> GitOpsRemote:
    seed = make_source("gitops-seed")
    seed.commit({"production/env.yml": "kind: EnvironmentConfig\n", "dev/env.yml": "kind: EnvironmentConfig\n"})
    path = tmp_path / "gitops.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(seed.path), str(path)], check=True)
    return GitOpsRemote(path, seed.git)
