import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from forge_servers import NatsServer, PostgresServer, RegistryServer, S3Server, Server
from forge_servers.procfs import holders

pytest_plugins = ["pytester"]

KINDS: dict[str, Callable[..., Server]] = {
    "postgres": partial(PostgresServer, durable=False),
    "nats": NatsServer,
    "s3": S3Server,
    "registry": RegistryServer,
}


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.02)

    return wait


@pytest.fixture
def processes_of() -> Callable[[Path], list[int]]:
    """All processes of the server in a directory: they hold its lock."""
    return lambda directory: [holder.pid for holder in holders(str(directory.resolve() / "server.lock"))]


@pytest.fixture
def directory(server_directory: Callable[[str], Path]) -> Iterator[Path]:
    folder = server_directory("own")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Callable[..., Server]:
    """Makes a server of each kind in turn."""
    return KINDS[request.param]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca.crt`, and `s.crt` with `s.key` for 127.0.0.1, signed by it."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=test-ca",
        "req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=server",
        "x509 -req -in s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out s.crt -days 30 -extfile extensions",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(autouse=True)
def no_leaked_environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    changed = {name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)}
    assert changed <= {"PYTEST_CURRENT_TEST"}
