"""A wheel and a source distribution, and the request that publishes them."""

import io
import tarfile
import uuid
import zipfile
from pathlib import Path

from forge_sdk.models.artifacts import (
    ArchiveFile,
    ArchiveOutput,
    CreateArtifactResponse,
    PublishArtifactRequest,
    PublishArtifactResponse,
)
from forge_sdk.models.jobs import GitContext
from forge_sdk.plugins.files import file_facts
from forge_sdk.plugins.manager import load_plugins
from forge_sdk.secrets import Secret
from forge_sdk.testing import LocalContext

REFERENCE = {"provider": "local", "key": "publishers/pypi/token"}
REFERENCE_TEXT = "local(key=publishers/pypi/token)"
WHEEL = "greeting-1.0-py3-none-any.whl"
SDIST = "greeting-1.0.tar.gz"
METADATA = b"Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n"


def wheel(folder: Path, content: str = "HELLO = 1\n") -> Path:
    path = folder / WHEEL
    tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("greeting/__init__.py"), content)
        archive.writestr(zipfile.ZipInfo("greeting-1.0.dist-info/METADATA"), METADATA)
        archive.writestr(zipfile.ZipInfo("greeting-1.0.dist-info/WHEEL"), tag)
        archive.writestr(zipfile.ZipInfo("greeting-1.0.dist-info/RECORD"), "")
    return path


def sdist(folder: Path, content: bytes = b"HELLO = 1\n") -> Path:
    path = folder / SDIST
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {"PKG-INFO": METADATA, "greeting/__init__.py": content}.items():
            info = tarfile.TarInfo(f"greeting-1.0/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def context(password: str = "ci:s3cret-password") -> LocalContext:
    return LocalContext(secrets={REFERENCE_TEXT: Secret(password)})


def request(staging: Path, index_url: str, names: tuple[str, ...] = (WHEEL,)) -> PublishArtifactRequest:
    files = []
    for name in names:
        facts = file_facts(staging / name)
        kind = "whl" if name.endswith(".whl") else "tar.gz"
        files.append(ArchiveFile(path=name, format=kind, size=facts.size, digest=facts.digest))
    return PublishArtifactRequest(
        project="greeting",
        project_path=".",
        repository="acme/shop",
        repository_path=".",
        commit_sha="a" * 40,
        git=GitContext(),
        release_id=uuid.uuid4(),
        artifact=CreateArtifactResponse(
            name="wheel", project="greeting", type="archive", output=ArchiveOutput(files=tuple(files))
        ),
        staging_path=str(staging),
        publisher="index",
        repo_config={"index_url": index_url, "credentials": REFERENCE},
    )


async def publish(asked: PublishArtifactRequest, given: LocalContext) -> PublishArtifactResponse:
    return await load_plugins().publisher("pypi").publish(asked, given)
