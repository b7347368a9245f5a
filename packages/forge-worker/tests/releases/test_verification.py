import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_oci.core.layout import write_layout
from forge_oci.core.release import pack_release
from forge_sdk.errors import PlatformError
from forge_sdk.models.artifacts import ArchiveFile, ArchiveOutput, ContainerOutput, CreateArtifactResponse
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.models.statuses import ArtifactType
from forge_worker.verification import confined_location, verify_artifact

CONTENT = b"content"
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


def _file(path="a.zip", size=7, digest=DIGEST):
    return ArchiveFile(path=path, format="zip", size=size, digest=digest)


async def _verify(staging, *files, kind=ArtifactType.ARCHIVE, **changes):
    definition = ArtifactDefinition(name="tool", type=ArtifactType.ARCHIVE, producer="builder")
    fields = {"name": "tool", "project": "api", "type": kind, "output": ArchiveOutput.model_construct(files=files)}
    response = CreateArtifactResponse.model_construct(**{**fields, **changes})
    return await verify_artifact(definition, "api", response, staging)


@pytest.fixture
def staging(tmp_path):
    folder = tmp_path / "staging"
    folder.mkdir()
    (folder / "a.zip").write_bytes(CONTENT)
    return folder


async def test_what_is_there_as_claimed_is_accepted(staging):
    verified = await _verify(staging, _file())
    assert (verified.digest, verified.subjects) == (DIGEST, (("a.zip", DIGEST),))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (_file(size=8), "has 7 bytes, the producer says 8"),
        (_file(digest="sha256:" + "0" * 64), "has the digest"),
        (_file(path="b.zip"), "does not exist"),
        (_file(path="../a.zip"), "inside the staging directory"),
        (_file(path="/etc/passwd"), "inside the staging directory"),
        (_file(path="."), "inside the staging directory"),
        (_file(path="link.zip"), "through a link"),
        (_file(path="folder/passwd"), "through a link"),
        (_file(path="pipe"), "no regular file"),
        (_file(path="real"), "no regular file"),
    ],
)
async def test_other_claims_are_refused(staging, file, words):
    (staging / "link.zip").symlink_to(staging / "a.zip")
    (staging / "folder").symlink_to("/etc")
    (staging / "real").mkdir()
    os.mkfifo(staging / "pipe")
    with pytest.raises(PlatformError, match=words) as caught:
        await _verify(staging, file)
    assert caught.value.code.value == "output_invalid"


async def test_answers_for_something_else_are_refused(staging):
    with pytest.raises(PlatformError, match="for name"):
        await _verify(staging, _file(), name="other")
    with pytest.raises(PlatformError, match="for type"):
        await _verify(staging, _file(), kind=ArtifactType.BINARY)
    with pytest.raises(PlatformError, match="one file twice"):
        await _verify(staging, _file(), _file())


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_path_leaves_the_staging_directory(tmp_path_factory, path):
    staging = tmp_path_factory.getbasetemp() / "confined"
    staging.mkdir(exist_ok=True)
    try:
        location = confined_location(staging, path)
    except PlatformError:
        return
    assert location.resolve().is_relative_to(staging.resolve())
    assert location != staging


def _container(digest, **changes):
    fields = {"location_type": "oci-layout", "image_ref": "image", "image_id": "x", "digest": digest, "size": 1}
    return ContainerOutput(**{**fields, **changes})


async def test_images_are_verified_as_oci_layouts(staging):
    image = pack_release({}, {"a.yaml": b"a: 1\n"})
    write_layout(image, staging / "image")
    definition = ArtifactDefinition(name="tool", type=ArtifactType.CONTAINER, producer="builder")

    async def verify(output):
        response = CreateArtifactResponse(name="tool", project="api", type=ArtifactType.CONTAINER, output=output)
        return await verify_artifact(definition, "api", response, staging)

    verified = await verify(_container(image.digest))
    assert verified.digest == image.digest
    assert {file.path for file in verified.files} >= {"image/index.json", "image/oci-layout"}
    with pytest.raises(PlatformError, match="the producer says"):
        await verify(_container("sha256:" + "0" * 64))
    with pytest.raises(PlatformError, match="docker daemon"):
        await verify(_container(image.digest, location_type="docker-daemon"))
    (staging / "image" / "blobs" / "sha256" / image.digest.removeprefix("sha256:")).write_bytes(b"{}")
    with pytest.raises(PlatformError, match="damaged"):
        await verify(_container(image.digest))
