"""pytest plugin: real servers for tests, started when the first test asks for them.

A missing server skips the test and says how to install it; where `CI` is set it fails the test.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

from . import programs
from .errors import MissingServerError
from .nats import NatsServer
from .postgres import PostgresServer
from .registry import RegistryServer
from .s3 import S3Server
from .server import Server

COMPONENTS: dict[str, Callable[[], object]] = {
    "postgres": programs.postgres_folder,
    "nats": programs.nats_program,
    "s3": lambda: programs.own_program("forge-s3"),
    "oci": lambda: programs.own_program("forge-registry"),
}
ServerT = TypeVar("ServerT", bound=Server)
MEMORY = Path("/dev/shm")  # noqa: S108 a folder of a random name is made there
ROOMY = 2 * 2**30
_numbers = itertools.count(1)


@dataclass(frozen=True)
class S3Bucket:
    """A bucket and what a client needs to use it (path style, signature version s3v4)."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str
    bucket: str


def require(component: str) -> None:
    """Skips the running test where a component is missing, or fails it where the environment's `CI` is set.

    `component`: `postgres`, `nats`, `s3`, `oci`, or the name of an executable that must be on PATH.
    """
    locate = COMPONENTS.get(component)
    if locate is None:
        if shutil.which(component) is None:
            _missing(f"the program {component} is not on PATH: install it")
        return
    try:
        locate()
    except MissingServerError as error:
        _missing(str(error))


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Callable[[str], Path]]:
    """Makes folders for servers, with short paths (a socket's path ends at 107 bytes); removed at the end.

    They are in memory (/dev/shm) where that has 2 GiB free, else below the folder for temporary files.
    """
    with tempfile.TemporaryDirectory(prefix="forge-", dir=_roomy_memory(), ignore_cleanup_errors=True) as root:
        yield lambda name: Path(root, f"{name}{next(_numbers)}")


@pytest.fixture(scope="session")
def postgres_server(server_directory: Callable[[str], Path]) -> Iterator[PostgresServer]:
    """A PostgreSQL for the whole session, not durable. `create_database`, `dsn`, `query`."""
    require("postgres")
    with PostgresServer(server_directory("pg"), durable=False, settings={"max_connections": "200"}) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template() -> str:
    """Name of the database that `postgres_database` copies: empty, unless a conftest overrides this fixture.

    An own one makes a database by `postgres_server.create_database`, migrates it, disconnects and returns its name.
    """
    return "template1"


@pytest.fixture
def postgres_database(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """DSN of a fresh database, a copy of `postgres_template`; removed after the test."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name, postgres_template)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def nats_server(server_directory: Callable[[str], Path]) -> Iterator[NatsServer]:
    """A NATS with JetStream, without users, for the whole session: streams are seen by all tests. `url`."""
    require("nats")
    with NatsServer(server_directory("nats")) as server:
        yield server


@pytest.fixture
def nats_url(make_nats_server: Callable[..., NatsServer]) -> str:
    """URL of a NATS with JetStream that no other test uses."""
    return make_nats_server().url


@pytest.fixture(scope="session")
def s3_server(server_directory: Callable[[str], Path]) -> Iterator[S3Server]:
    """An S3 server for the whole session. `endpoint_url`, `access_key`, `secret_key`, `region`."""
    require("s3")
    with S3Server(server_directory("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_client(s3_server: S3Server) -> Iterator[Any]:
    """A boto3 client of `s3_server`, set up as the server needs it."""
    boto3, config = pytest.importorskip("boto3"), pytest.importorskip("botocore.config")
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint_url,
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
        region_name=s3_server.region,
        config=config.Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    yield client
    client.close()


@pytest.fixture
def s3_bucket(s3_server: S3Server, s3_client: Any) -> S3Bucket:
    """A fresh bucket."""
    bucket = f"test-{next(_numbers)}"
    s3_client.create_bucket(Bucket=bucket)
    return S3Bucket(s3_server.endpoint_url, s3_server.access_key, s3_server.secret_key, s3_server.region, bucket)


@pytest.fixture(scope="session")
def oci_registry(server_directory: Callable[[str], Path]) -> Iterator[RegistryServer]:
    """An OCI registry over plain http for the whole session, without users. `host` is `127.0.0.1:port`."""
    require("oci")
    with RegistryServer(server_directory("oci")) as server:
        yield server


@pytest.fixture
def make_postgres_server(server_directory: Callable[[str], Path]) -> Iterator[Callable[..., PostgresServer]]:
    """Starts a PostgreSQL of the test's own: `make_postgres_server(**options of PostgresServer)`."""
    yield from _factory(PostgresServer, "postgres", server_directory)


@pytest.fixture
def make_nats_server(server_directory: Callable[[str], Path]) -> Iterator[Callable[..., NatsServer]]:
    """Starts a NATS of the test's own: `make_nats_server(**options of NatsServer)`."""
    yield from _factory(NatsServer, "nats", server_directory)


@pytest.fixture
def make_s3_server(server_directory: Callable[[str], Path]) -> Iterator[Callable[..., S3Server]]:
    """Starts an S3 server of the test's own: `make_s3_server(**options of S3Server)`."""
    yield from _factory(S3Server, "s3", server_directory)


@pytest.fixture
def make_oci_registry(server_directory: Callable[[str], Path]) -> Iterator[Callable[..., RegistryServer]]:
    """Starts a registry of the test's own: `make_oci_registry(**options of RegistryServer)`."""
    yield from _factory(RegistryServer, "oci", server_directory)


def _factory(
    kind: type[ServerT], component: str, new_directory: Callable[[str], Path]
) -> Iterator[Callable[..., ServerT]]:
    require(component)
    started: list[ServerT] = []
    made: list[Path] = []

    def make(directory: Path | None = None, **options: Any) -> ServerT:
        if directory is None:
            directory = new_directory(component)
            made.append(directory)
        server = kind(directory, **options)
        started.append(server)
        server.start_blocking()
        return server

    yield make
    for server in started:
        server.stop_blocking()
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


def _roomy_memory() -> Path | None:
    try:
        free = shutil.disk_usage(MEMORY).free
    except OSError:
        return None
    return MEMORY if free >= ROOMY and os.access(MEMORY, os.W_OK) else None
