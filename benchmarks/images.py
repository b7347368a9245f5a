"""A registry with a release as a worker makes it: signed, with one sealed artifact, and the pointer to it."""

import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from forge_oci.core.image import Image
from forge_oci.core.keys import write_key_pair
from forge_oci.core.provenance import Build, provenance_statement
from forge_oci.core.release import pack_release
from forge_oci.core.statement import PROVENANCE_PREDICATE, encode_statement, parse_statement
from forge_oci.core.tracking import pack_tracking
from forge_oci.registry import KeySigner, RegistryClient, attest, sign_image
from forge_servers.registry import RegistryServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "acme/shop/api"
DIGEST = "sha256:" + "d" * 64
RESOURCES = 20


@dataclass
class Registry:
    """A running registry, its client and a signer."""

    server: RegistryServer
    client: RegistryClient
    signer: KeySigner
    folder: Path


@asynccontextmanager
async def registry() -> AsyncIterator[Registry]:
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as name:
        folder = Path(name)
        write_key_pair(folder / "forge.key", folder / "forge.pub")
        with RegistryServer(folder / "registry") as server:
            async with RegistryClient(server.host, plain_http=True) as client:
                yield Registry(server, client, KeySigner(folder / "forge.key"), folder)


def release_files(number: int = 0) -> dict[str, bytes]:
    """Twenty objects as they are rendered; `number` makes releases that differ."""
    return {
        f"{index:02}.yaml": yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"configuration-{index}", "namespace": "shop-api"},
                "data": {f"key-{line}": "some text of a usual length " * 2 for line in range(30)} | {"n": str(number)},
            }
        ).encode()
        for index in range(RESOURCES)
    }


def release_image(files: dict[str, bytes], artifacts: tuple[dict[str, object], ...] = ()) -> Image:
    """The release image of the files."""
    metadata = {
        "repository": "acme/shop",
        "project": "api",
        "source": {"commit": COMMIT},
        "artifacts": list(artifacts),
        "resources": {"count": RESOURCES},
    }
    return pack_release(metadata, files)


async def publish_release(running: Registry, *, artifacts: bool) -> Image:
    """Push and sign a release, with `artifacts` one of a sealed artifact."""
    sealed = (await _seal(running),) if artifacts else ()
    image = release_image(release_files(), sealed)
    await running.client.push(image, NAME)
    await sign_image(running.client, NAME, image.descriptor, running.signer)
    return image


async def _seal(running: Registry) -> dict[str, object]:
    parameters = {"repository": "acme/shop", "project": "api"}
    build = Build("b", "1", "git+ssh://g@h/acme/shop@refs/heads/main", COMMIT, "", "", parameters)
    statement = provenance_statement("tool", DIGEST, build)
    image = pack_tracking({"artifact": {"digest": DIGEST}, "source": {}, "build": {}}, statement)
    repository = f"{NAME}/tool"
    await running.client.push(image, repository)
    await sign_image(running.client, repository, image.descriptor, running.signer)
    predicate = parse_statement(statement).predicate
    about = encode_statement([(None, image.digest), ("tool", DIGEST)], PROVENANCE_PREDICATE, predicate)
    await attest(running.client, repository, image.descriptor, about, running.signer)
    tracking = {"uri": f"{repository}:sha-{COMMIT}", "digest": image.digest}
    return {"name": "tool", "type": "archive", "digest": DIGEST, "tracking": tracking}


@dataclass
class Application:
    """A directory with a pointer, and the environment of the plugin's sidecar."""

    folder: Path
    environment: dict[str, str]
    command: list[str]


def application(running: Registry, digest: str, **environment: str) -> Application:
    folder = running.folder / "application"
    folder.mkdir(exist_ok=True)
    spec = {"repository": "acme/shop", "project": "api", "release": COMMIT, "digest": digest}
    pointer = {
        "apiVersion": "forge.projectcatalyst.io/v1alpha1",
        "kind": "ReleasePointer",
        "metadata": {"name": "api", "namespace": "shop-api"},
        "spec": spec,
    }
    (folder / "release.yaml").write_text(yaml.safe_dump(pointer))
    settings = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(running.folder),
        "FORGE_REGISTRY": running.server.host,
        "FORGE_REGISTRY_PLAIN_HTTP": "true",
        "FORGE_PUBLIC_KEY_FILES": str(running.folder / "forge.pub"),
    }
    program = Path(sys.executable).parent / "forge-cmp"
    return Application(folder, {**settings, **environment}, [str(program), "generate"])
