"""Real PostgreSQL, NATS and S3; the engine and the deployments of these tests only record what they are told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import jwt
import nats
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from forge_api.application import create_application
from forge_api.auth.verifier import TokenVerifier
from forge_api.database.migrate import migrate
from forge_api.database.notifications import Notifications
from forge_api.database.origin import Origin
from forge_api.database.pool import Database
from forge_api.engine.port import DeploymentPlan, RunPlan
from forge_api.events.run_feeds import RunFeeds
from forge_api.metrics import Metrics
from forge_api.pipeline.planner import Plan, PlannedPhase, PlannedStep, PlannedTask
from forge_api.services import Services
from forge_api.web.limits import RateLimits
from forge_dispatch.streams import apply_definitions
from forge_sdk.client import ApiClient, StaticToken
from forge_sdk.configuration import ApiConfiguration, GitOps, Identity, Nats, Registry, Storage
from forge_sdk.configuration import Database as DatabaseConfiguration
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import CreateDeployment, CreateRun, Deployment, Environment, RegisterRepository
from forge_sdk.models.stages import Stage, StageJobs, StageQuery, StageResult, StageState
from forge_sdk.models.statuses import RunStatus
from forge_sdk.object_storage import S3ObjectStore
from forge_sdk.retry import RetryPolicy
from forge_sdk.secrets import Secret
from forge_servers.testing import S3Bucket

ONCE = RetryPolicy(attempts=1)
AUDIENCE = "catalyst-forge"
SHA = "0123456789abcdef0123456789abcdef01234567"
ALL_ROLES = ("developer", "approver", "operator", "service-account")


def database_configuration(dsn: str, folder: Path, *, pool_size: int = 5) -> DatabaseConfiguration:
    parts = urlsplit(dsn)
    password = folder / "database-password"
    password.write_text(unquote(parts.password or ""))
    password.chmod(0o600)
    return DatabaseConfiguration(
        host=parts.hostname or "",
        port=parts.port or 0,
        name=parts.path.lstrip("/"),
        user=parts.username or "",
        password_file=password,
        pool_size=pool_size,
    )


# Rows are deleted instead of copying the database for each test, which makes a thousand files;
# as a replica would, without the triggers that keep the audit log.
EMPTY = """
set lock_timeout = '10s';
set session_replication_role = replica;
do $$
declare found record;
begin
    for found in select tablename from pg_tables where schemaname = 'public' and tablename <> 'schema_migrations' loop
        execute format('delete from %I', found.tablename);
    end loop;
end $$;
"""


@pytest.fixture(scope="session")
def migrated_database(postgres_server: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    dsn: str = postgres_server.create_database("migrated")
    asyncio.run(migrate(database_configuration(dsn, tmp_path_factory.mktemp("template"))))
    return dsn


@pytest.fixture
def postgres_database(postgres_server: Any, migrated_database: str) -> str:
    """The migrated database, empty; a test that changes its schema changes it back."""
    postgres_server.query(EMPTY, "migrated")
    return migrated_database


@pytest.fixture(scope="session")
def shared_bucket(s3_server: Any, s3_client: Any) -> Any:
    """One bucket for all tests: keys hold the ids of runs, so that no test sees another's objects."""
    s3_client.create_bucket(Bucket="shared")
    return S3Bucket(s3_server.endpoint_url, s3_server.access_key, s3_server.secret_key, s3_server.region, "shared")


@pytest.fixture(scope="session")
def nats_with_streams(nats_server: Any) -> str:
    async def apply() -> None:
        connected = await nats.connect(nats_server.url)
        await apply_definitions(connected, Nats(url=nats_server.url, ack_wait_s=5))
        await connected.close()

    asyncio.run(apply())
    url: str = nats_server.url
    return url


@pytest.fixture
def database_settings(postgres_database: str, tmp_path: Path) -> DatabaseConfiguration:
    return database_configuration(postgres_database, tmp_path)


@pytest.fixture
async def database(database_settings: DatabaseConfiguration) -> AsyncIterator[Database]:
    opened = await Database.connect(database_settings)
    yield opened
    await opened.close()


class Issuer:
    """An OIDC issuer: its keys can be exchanged while it runs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.key_id = "first"
        self.requests = 0
        self.down = False
        self.url = ""

    def rotate(self, key_id: str = "second") -> None:
        self.key, self.key_id = ec.generate_private_key(ec.SECP256R1()), key_id

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/.well-known/openid-configuration", self._discovery)
        application.router.add_get("/keys", self._keys)
        return application

    def token(self, *roles: str, key: Any = None, algorithm: str = "ES256", headers: Any = None, **claims: Any) -> str:
        now = int(time.time())
        content = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice",
            "iat": now,
            "exp": now + 300,
            "roles": list(roles),
            **claims,
        }
        content = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(content, key or self.key, algorithm, headers=headers or {"kid": self.key_id})

    async def _discovery(self, request: web.Request) -> web.Response:
        if self.down:
            raise web.HTTPServiceUnavailable
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def _keys(self, request: web.Request) -> web.Response:
        self.requests += 1
        document = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return web.json_response({"keys": [{**document, "kid": self.key_id, "use": "sig", "alg": "ES256"}]})


@pytest.fixture(scope="session")
def foreign_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    made = Issuer()
    server = TestServer(made.application())
    await server.start_server()
    made.url = str(server.make_url("")).rstrip("/")
    yield made
    await server.close()


@dataclass
class RecordingEngine:
    submitted: list[RunPlan | DeploymentPlan] = field(default_factory=list)
    cancelled: list[UUID] = field(default_factory=list)

    async def submit(self, plan: RunPlan | DeploymentPlan) -> None:
        self.submitted.append(plan)

    async def status(self, run_id: UUID) -> RunStatus:
        return RunStatus.PENDING

    async def cancel(self, run_id: UUID) -> None:
        self.cancelled.append(run_id)

    async def resume(self) -> None:
        return None

    def link(self, run_id: UUID) -> str:
        return f"http://forge.test/runs/{run_id}"


@dataclass
class RecordingDeployments:
    requests: list[tuple[CreateDeployment, str]] = field(default_factory=list)
    answer: Deployment | None = None

    async def request(self, body: CreateDeployment, origin: Origin) -> Deployment:
        self.requests.append((body, origin.actor))
        if self.answer is None:
            raise PlatformError(
                "production allows the trigger tag only",
                code=ErrorCode.DEPLOYMENT_REFUSED,
                component="deployments",
                context={"requires": {"allowed_triggers": ["tag"]}, "has": ["branch_push"]},
            )
        return self.answer

    def environments(self) -> tuple[Environment, ...]:
        return (Environment(name="dev", policy={"auto_deploy": True}),)


@dataclass
class RecordingStages:
    results: list[StageResult] = field(default_factory=list)

    async def jobs(self, run_id: UUID, stage: Stage, query: StageQuery) -> StageJobs:
        return StageJobs(stage=stage, state=StageState.SUCCESS, outputs={"run": str(run_id)})

    async def record(self, run_id: UUID, body: StageResult) -> None:
        self.results.append(body)


@pytest.fixture
def configuration(
    database_settings: DatabaseConfiguration, issuer: Issuer, nats_with_streams: str, shared_bucket: Any, tmp_path: Path
) -> ApiConfiguration:
    keys = {}
    for name in ("access_key", "secret_key"):
        file = tmp_path / name
        file.write_text(getattr(shared_bucket, name))
        file.chmod(0o600)
        keys[f"{name}_file"] = file
    return ApiConfiguration(
        database=database_settings,
        nats=Nats(url=nats_with_streams),
        storage=Storage(
            endpoint_url=shared_bucket.endpoint_url, region=shared_bucket.region, bucket=shared_bucket.bucket, **keys
        ),
        registry=Registry(host="127.0.0.1:5000", plain_http=True),
        identity=Identity(issuer=issuer.url, leeway_s=0),
        gitops=GitOps(url="file:///tmp/gitops.git"),
        environments_file=tmp_path / "environments.yaml",
        allow_local_repositories=True,
    )


@pytest.fixture
async def connection(configuration: ApiConfiguration) -> AsyncIterator[Any]:
    connected = await nats.connect(configuration.nats.url)
    yield connected
    await connected.close()


@pytest.fixture
def notifications(database_settings: DatabaseConfiguration) -> Notifications:
    return Notifications(database_settings)


@pytest.fixture
async def listening(notifications: Notifications) -> AsyncIterator[None]:
    """Notifications of the database arrive."""
    task = asyncio.create_task(notifications.run())
    async with asyncio.timeout(20):
        await notifications.ready.wait()
    yield
    task.cancel()
    await asyncio.wait({task})


@pytest.fixture
async def services(
    configuration: ApiConfiguration, database: Database, connection: Any, notifications: Notifications
) -> AsyncIterator[Services]:
    verifier = TokenVerifier(configuration.identity)
    yield Services(
        configuration=configuration,
        database=database,
        storage=S3ObjectStore(configuration.storage),
        connection=connection,
        verifier=verifier,
        engine=RecordingEngine(),
        deployments=RecordingDeployments(),
        stages=RecordingStages(),
        feeds=RunFeeds(database, notifications),
        limits=RateLimits(configuration.limits),
        metrics=Metrics(),
    )
    await verifier.close()


@pytest.fixture
async def base_url(services: Services) -> AsyncIterator[str]:
    server = TestServer(create_application(services))
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


@pytest.fixture
async def http(base_url: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(base_url) as session:
        yield session


@pytest.fixture
def bearer(issuer: Issuer) -> Callable[..., dict[str, str]]:
    """Headers of a caller with these roles (default: all of them)."""
    return lambda *roles, **claims: {"Authorization": f"Bearer {issuer.token(*(roles or ALL_ROLES), **claims)}"}


@pytest.fixture
async def client(base_url: str, issuer: Issuer) -> AsyncIterator[ApiClient]:
    async with ApiClient(base_url, StaticToken(Secret(issuer.token(*ALL_ROLES))), retry=ONCE) as made:
        yield made


@pytest.fixture
async def repository(client: ApiClient) -> str:
    await client.register_repository(
        RegisterRepository(repository="acme/shop", clone_url="https://github.com/acme/shop.git")
    )
    return "acme/shop"


@pytest.fixture
def create_run(repository: str) -> Callable[..., CreateRun]:
    return lambda **fields: CreateRun(**{"repository": repository, "commit_sha": SHA, **fields})


@pytest.fixture
def make_plan() -> Callable[[], Plan]:
    """A plan with the one step `unit` of project `api` in phase `test`."""

    def make() -> Plan:
        step = PlannedStep(uuid4(), "unit", "command")
        task = PlannedTask(uuid4(), "api", "services/api", (step,))
        return Plan("key", [PlannedPhase(uuid4(), "test", 1, (task,))], [], "queue", releases=False)

    return make


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORGE_CONFIG", "AWS_PROFILE", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def project(database, repository):
    """The project api of acme/shop."""
    async with database.transaction() as connection:
        return await connection.fetchrow(
            "insert into projects (id, repository_id, name, path, slug, last_release_number) "
            "select $1, id, 'api', '.', 'shop-api', 2 from repositories returning id, repository_id",
            uuid7(),
        )
