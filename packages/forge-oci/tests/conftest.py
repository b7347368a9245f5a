"""Helpers of the tests: keys, images, clients, and a gateway that makes a real registry misbehave or ask for tokens."""

import base64
import http.client
import json
import os
import re
import shutil
import subprocess
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from forge_oci.core.image import Image
from forge_oci.core.keys import PrivateKey, write_key_pair
from forge_oci.core.provenance import Build, provenance_statement
from forge_oci.core.release import pack_release
from forge_oci.core.tracking import pack_tracking
from forge_oci.registry import RegistryClient
from forge_sdk.retry import RetryPolicy

COMMIT = "0123456789abcdef0123456789abcdef01234567"
QUICK = RetryPolicy(attempts=3, base_delay=0.01, max_delay=0.02, jitter=0)
ARTIFACT = "sha256:" + "a" * 64


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    write_key_pair(tmp_path / "forge.key", tmp_path / "forge.pub")
    return tmp_path / "forge.key"


@pytest.fixture
def key(key_file: Path) -> PrivateKey:
    return PrivateKey.from_file(key_file)


@pytest.fixture
def release() -> Image:
    return pack_release(
        {"source": {"commit": COMMIT}}, {"deployment.yaml": b"kind: Deployment\n", "a/b.yaml": b"x: 1\n"}
    )


@pytest.fixture
def provenance() -> bytes:
    build = Build(
        builder_id="https://forge.example/pools/artifact",
        invocation_id="run-1",
        source_uri="git+https://github.com/acme/shop@refs/heads/main",
        commit=COMMIT,
        started_on="2026-01-01T00:00:00Z",
        finished_on="2026-01-01T00:01:00Z",
        external_parameters={"project": "api", "artifact": "web"},
    )
    return provenance_statement("web", ARTIFACT, build)


@pytest.fixture
def tracking(provenance: bytes) -> Image:
    metadata = {
        "artifact": {"digest": ARTIFACT, "name": "web"},
        "source": {"commit": COMMIT},
        "build": {"run": "run-1"},
    }
    return pack_tracking(metadata, provenance, spdx=b'{"spdxVersion":"SPDX-2.3"}', syft=b'{"artifacts":[]}')


@pytest.fixture
def cosign(tmp_path: Path):
    """Runs the public cosign with an empty home, so that nobody's configuration takes part."""
    program = os.environ.get("FORGE_COSIGN") or shutil.which("cosign")
    if program is None:
        reason = "cosign is not installed: put version 3.0.4 or newer on PATH, or name it in FORGE_COSIGN"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "COSIGN_PASSWORD": ""}
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
        )

    return run


@pytest.fixture
async def client(oci_registry):
    async with RegistryClient(oci_registry.host, plain_http=True, retry=QUICK) as client:
        yield client


@pytest.fixture
def repository() -> str:
    return f"test/{uuid.uuid4().hex}"


@pytest.fixture
def gateway(oci_registry):
    """A gateway before the real registry; a test sets its `intercept` or its `tokens`."""
    server = Gateway(oci_registry.host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


class Gateway(ThreadingHTTPServer):
    """Forwards to a registry; `intercept(method, path, body)` may answer instead: status, headers, body."""

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.host = f"127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, str]] = []
        self.intercept = lambda method, path, body: None
        self.change = lambda method, path, answer: answer
        self.login: str | None = None
        self.tokens: dict[str, str] = {}

    def authorise(self, method: str, path: str, authorization: str) -> tuple[int, dict[str, str], bytes] | None:
        """Ask for a token that was issued for this repository and access, as registries do."""
        if self.login is None:
            return None
        url = urlsplit(path)
        if url.path == "/token":
            if authorization != f"Basic {base64.b64encode(self.login.encode()).decode()}":
                return 401, {}, b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}'
            scope = parse_qs(url.query)["scope"][0]
            token = uuid.uuid4().hex
            self.tokens[token] = scope
            return 200, {}, json.dumps({"token": token, "expires_in": 300}).encode()
        repository = re.match(r"/v2/(.+)/(?:blobs|manifests|tags|referrers)/", url.path)[1]
        actions = "pull" if method in {"GET", "HEAD"} else "pull,push"
        scope = f"repository:{repository}:{actions}"
        if self.tokens.get(authorization.removeprefix("Bearer ")) == scope:
            return None
        challenge = f'Bearer realm="http://{self.host}/token",service="registry, of tests",scope="{scope}"'
        return 401, {"WWW-Authenticate": challenge}, b"{}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        server.requests.append((self.command, self.path))
        found = server.authorise(self.command, self.path, self.headers.get("Authorization", ""))
        found = found or server.intercept(self.command, self.path, body) or self.forward(body)
        status, headers, content = server.change(self.command, self.path, found)
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "connection", "content-length", "date", "server"}:
                self.send_header(name, value.replace(server.upstream, server.host))
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content if self.command != "HEAD" else b"")

    do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815 - names of the standard library

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=10)
        passed = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "authorization"}}
        try:
            upstream.request(self.command, self.path, body, passed)
            response = upstream.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            upstream.close()

    def log_message(self, *_: object) -> None:
        """Tests don't print."""
