import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from forge_oci.core.image import Image
from forge_oci.core.keys import PrivateKey, write_key_pair
from forge_oci.core.provenance import Build, provenance_statement
from forge_oci.core.release import pack_release
from forge_oci.core.statement import PROVENANCE_PREDICATE, encode_statement, parse_statement
from forge_oci.core.tracking import pack_tracking
from forge_oci.registry import KeySigner, RegistryClient, attest, sign_image

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "acme/Shop"
PROJECT = "api"
OCI_NAME = "acme/shop/api"
DIGEST = "sha256:" + "d" * 64
FILES = {
    "web.yaml": b"apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n  namespace: b\n",
    "api.yaml": "# größer\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: a}\ndata: {text: grüße}\n".encode(),
}
METADATA: dict[str, Any] = {
    "repository": REPOSITORY,
    "project": PROJECT,
    "source": {"commit": COMMIT},
    "artifacts": [],
    "resources": {"count": 3},
}


@dataclass
class Run:
    status: int
    stdout: str
    stderr: str

    @property
    def code(self) -> str:
        return self.stderr.splitlines()[0].split(": ")[2]


@dataclass
class Application:
    """A directory of the GitOps repository, and the sidecar that runs the plugin in it."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)

    def point(self, digest: str, *, commit: str = COMMIT, project: str = PROJECT, extra: str = "") -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "release.yaml").write_text(
            "apiVersion: forge.projectcatalyst.io/v1alpha1\nkind: ReleasePointer\n"
            f"metadata:\n  name: {project}\n  namespace: shop-{project}\n"
            f"spec:\n  repository: {REPOSITORY}\n  project: {project}\n  release: {commit}\n  digest: {digest}\n{extra}"
        )

    def command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "forge_cmp", name]

    def start(self, name: str = "generate", stdout: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self.command(name),
            cwd=self.directory,
            env=self.variables(),
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    def variables(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.directory.parent / "home"), **self.environment}

    def run(self, name: str = "generate", **environment: str) -> Run:
        done = subprocess.run(
            self.command(name),
            cwd=self.directory,
            env={**self.variables(), **environment},
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("keys")
    write_key_pair(folder / "forge.key", folder / "forge.pub")
    return folder / "forge.key", folder / "forge.pub"


@pytest.fixture
async def registry(make_oci_registry: Callable[..., Any]) -> AsyncIterator[RegistryClient]:
    """A registry of the test's own, so that it may be stopped or damaged."""
    server = make_oci_registry()
    async with RegistryClient(server.host, plain_http=True) as client:
        client.server = server  # type: ignore[attr-defined]
        yield client


@pytest.fixture
def application(tmp_path: Path, registry: RegistryClient, signing_key: tuple[Path, Path]) -> Application:
    environment = {
        "FORGE_REGISTRY": registry.host,
        "FORGE_REGISTRY_PLAIN_HTTP": "true",
        "FORGE_PUBLIC_KEY_FILES": str(signing_key[1]),
        "FORGE_CACHE_DIR": str(tmp_path / "cache"),
        "FORGE_DEADLINE_SECONDS": "5",
    }
    (tmp_path / "home").mkdir()
    (tmp_path / "app").mkdir()
    return Application(tmp_path / "app", environment)


@pytest.fixture
def publish(registry: RegistryClient, signing_key: tuple[Path, Path]) -> Callable[..., Any]:
    async def publish_release(
        files: Mapping[str, bytes] = FILES, *, sign: bool = True, image: Image | None = None, **metadata: Any
    ) -> str:
        image = image or pack_release({**METADATA, **metadata}, files)
        digest = await registry.push(image, OCI_NAME)
        if sign:
            await sign_image(registry, OCI_NAME, image.descriptor, KeySigner(signing_key[0]))
        return digest

    return publish_release


@pytest.fixture
def seal(registry: RegistryClient, signing_key: tuple[Path, Path]) -> Callable[..., Any]:
    """Pushes the tracking image of an artifact and returns its entry in a release's metadata."""

    async def seal_artifact(
        name: str = "tool",
        *,
        ref: str | None = "refs/heads/main",
        signed_with: Path | None = None,
        attested_with: Path | None = None,
        sign: bool = True,
        attest_it: bool = True,
        predicate_type: str = PROVENANCE_PREDICATE,
        about: str = DIGEST,
        **changes: Any,
    ) -> dict[str, Any]:
        facts = {"repository": REPOSITORY, "project": PROJECT, "commit": COMMIT, **changes}
        build = Build(
            builder_id="https://example.org/worker",
            invocation_id="1",
            source_uri="git+ssh://git@example.org/acme/Shop.git" + (f"@{ref}" if ref else ""),
            commit=facts["commit"],
            started_on="2026-01-01T00:00:00Z",
            finished_on="2026-01-01T00:00:01Z",
            external_parameters={"repository": facts["repository"], "project": facts["project"]},
        )
        metadata = {"artifact": {"name": name, "digest": DIGEST}, "source": {}, "build": {"number": name}}
        image = pack_tracking(metadata, provenance_statement(name, DIGEST, build))
        repository = f"{OCI_NAME}/{name}"
        await registry.push(image, repository, ["sha-" + COMMIT])
        if sign:
            await sign_image(registry, repository, image.descriptor, KeySigner(signed_with or signing_key[0]))
        if attest_it:
            predicate = parse_statement(provenance_statement(name, about, build)).predicate
            statement = encode_statement([(None, image.digest), (name, about)], predicate_type, predicate)
            await attest(registry, repository, image.descriptor, statement, KeySigner(attested_with or signing_key[0]))
        uri = f"{repository}:sha-{COMMIT}"
        return {"name": name, "digest": DIGEST, "tracking": {"uri": uri, "digest": image.digest}}

    return seal_artifact


@pytest.fixture
def other_key(tmp_path: Path) -> tuple[Path, Path]:
    key: PrivateKey = write_key_pair(tmp_path / "other.key", tmp_path / "other.pub")
    assert key.public_key.hint
    return tmp_path / "other.key", tmp_path / "other.pub"
