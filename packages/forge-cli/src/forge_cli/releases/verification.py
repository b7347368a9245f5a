"""Verifies a release with a public key: its image, and the tracking image of each of its artifacts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from forge_cli.releases.images import MAX_BYTES, RegistryPlace, pull_release
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.api import Release
from forge_sdk.models.base import WireModel

if TYPE_CHECKING:
    from forge_oci.core.keys import PublicKey
    from forge_oci.core.release import Release as ReleaseContent
    from forge_oci.registry import RegistryClient


class Verdict(WireModel):
    """What was checked of an image, and why it does not hold where it doesn't."""

    what: str
    image: str
    digest: str
    problem: str | None = None


async def verify(client: "RegistryClient", place: RegistryPlace, release: Release) -> list[Verdict]:
    """One verdict for the release image and for each tracking image; raises what keeps them from being looked at."""
    keys = await asyncio.to_thread(_keys, place)
    return [verdict async for verdict in _verdicts(client, keys, release)]


async def _verdicts(client: "RegistryClient", keys: "Sequence[PublicKey]", release: Release) -> AsyncIterator[Verdict]:
    content: ReleaseContent | None = None
    try:
        content = await _release(client, keys, release)
    except PlatformError as error:
        yield _verdict("release", release.oci_uri, release.oci_digest, _problem(error))
    else:
        yield _verdict("release", release.oci_uri, release.oci_digest)
    for artifact in release.artifacts:
        image, digest = artifact.tracking_oci_uri, artifact.tracking_oci_digest
        try:
            await _artifact(client, keys, image, digest)
            _require_named(content, artifact.name, digest)
        except PlatformError as error:
            yield _verdict(f"artifact {artifact.name}", image, digest, _problem(error))
        else:
            yield _verdict(f"artifact {artifact.name}", image, digest)


async def _release(client: "RegistryClient", keys: "Sequence[PublicKey]", release: Release) -> "ReleaseContent":
    from forge_oci.registry import verify_image

    await verify_image(client, release.oci_uri.rpartition(":")[0], release.oci_digest, keys)
    content = await pull_release(client, release.oci_uri, release.oci_digest)
    source = content.metadata.get("source")
    commit = source.get("commit") if isinstance(source, dict) else None
    named = (content.metadata.get("repository"), content.metadata.get("project"), commit)
    if named != (release.repository, release.project, release.commit_sha):
        raise _invalid(f"the image is of another release: {'/'.join(map(str, named))[:300]}")
    return content


async def _artifact(client: "RegistryClient", keys: "Sequence[PublicKey]", image: str, digest: str) -> None:
    from forge_oci.core.errors import OciError
    from forge_oci.core.statement import PROVENANCE_PREDICATE
    from forge_oci.core.tracking import unpack_tracking
    from forge_oci.registry import verify_image

    repository = image.rpartition(":")[0]
    await verify_image(client, repository, digest, keys)
    await verify_image(client, repository, digest, keys, predicate_type=PROVENANCE_PREDICATE)
    try:
        unpack_tracking(await client.pull(repository, digest, max_bytes=MAX_BYTES))
    except OciError as error:
        raise _invalid(str(error)) from error


def _require_named(content: "ReleaseContent | None", name: str, digest: str) -> None:
    """The release image says which tracking images it was made of; a platform that names others is not believed."""
    if content is None:
        return
    artifacts = content.metadata.get("artifacts")
    for found in artifacts if isinstance(artifacts, list) else []:
        if isinstance(found, dict) and found.get("name") == name and isinstance(found.get("tracking"), dict):
            if found["tracking"].get("digest") == digest:
                return
            raise _invalid(f"the release image was made of another tracking image: {found['tracking'].get('digest')}")
    raise _invalid("the release image does not name the artifact")


def _keys(place: RegistryPlace) -> "list[PublicKey]":
    from forge_oci.core.errors import OciError
    from forge_oci.core.keys import PublicKey

    if not place.key_files:
        raise ConfigurationError("no public key: give --public-key, or set FORGE_PUBLIC_KEY_FILES")
    try:
        return [PublicKey.from_file(file) for file in place.key_files]
    except OciError as error:
        raise ConfigurationError(str(error)) from error


def _problem(error: PlatformError) -> str:
    # A registry that can't be asked is no verdict.
    if error.transient or error.code not in {
        ErrorCode.SIGNATURE_INVALID,
        ErrorCode.NOT_FOUND,
        ErrorCode.REGISTRY_FAILED,
    }:
        raise error
    return error.message


def _verdict(what: str, image: str, digest: str, problem: str | None = None) -> Verdict:
    return Verdict(what=what, image=image, digest=digest, problem=problem)


def _invalid(message: str) -> PlatformError:
    return PlatformError(message, code=ErrorCode.SIGNATURE_INVALID, component="verification")
