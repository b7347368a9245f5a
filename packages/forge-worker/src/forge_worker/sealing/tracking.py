"""The tracking image of an artifact: made, compared with one that is there, pushed and signed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from forge_oci.core.errors import OciError
from forge_oci.core.image import Image
from forge_oci.core.manifest import Descriptor
from forge_oci.core.names import repository_path, tracking_tag
from forge_oci.core.provenance import Build, provenance_statement
from forge_oci.core.statement import PROVENANCE_PREDICATE, encode_statement, parse_statement
from forge_oci.core.tracking import pack_tracking, unpack_tracking
from forge_oci.registry import RegistryClient, Signer
from forge_sdk.errors import AlreadyExists, ErrorCode, PlatformError
from forge_worker.images import push_signed
from forge_worker.sbom import Sbom
from forge_worker.verification import VerifiedArtifact

BUILDER = "https://projectcatalyst.io/forge/worker"
COMPONENT = "artifact"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a tracking image says besides the artifact: names, source and build. Times are UTC."""

    repository: str
    project: str
    artifact: str
    commit: str
    source_uri: str
    builder: str
    invocation: str
    started_at: datetime
    built_at: datetime
    metadata: Mapping[str, Any]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A tracking image in the registry: `repository` and `tag` are its name without host."""

    repository: str
    tag: str
    descriptor: Descriptor

    @property
    def uri(self) -> str:
        """`<repository>:<tag>`, as it is recorded."""
        return f"{self.repository}:{self.tag}"


async def seal(
    client: RegistryClient,
    signer: Signer,
    artifact: VerifiedArtifact,
    facts: Facts,
    *,
    prefix: str,
    sbom: Sbom | None,
    copied: "asyncio.Task[None]",
) -> Sealed:
    """Push and sign the tracking image, or complete the one of an earlier delivery of the same artifact.

    It gets its tag when the sealed copy is complete, which `copied` tells: whoever finds the image finds the files.
    Raises `AlreadyExists` where the commit has a tracking image of another artifact digest, `signing_failed` where it can't be
    signed; nothing is found under the tag then.
    """
    repository, tag = _place(facts, prefix)
    image = await _existing(client, repository, tag, artifact)
    if image is None:
        image = await asyncio.to_thread(pack, artifact, facts, sbom)
    try:
        return await _push(client, signer, image, (repository, tag), copied)
    except AlreadyExists:
        # Another delivery of this job was faster by a moment.
        image = await _existing(client, repository, tag, artifact)
        if image is None:
            raise
        return await _push(client, signer, image, (repository, tag), copied)


async def check_sealed(client: RegistryClient, artifact: VerifiedArtifact, facts: Facts, *, prefix: str) -> None:
    """Raise `AlreadyExists` where the commit was sealed with another artifact digest, before anything of it is touched."""
    await _existing(client, *_place(facts, prefix), artifact)


def tracking_name(facts: Facts, prefix: str) -> str:
    """`<repository>:<tag>` of the tracking image that `seal` makes."""
    return ":".join(_place(facts, prefix))


def pack(artifact: VerifiedArtifact, facts: Facts, sbom: Sbom | None) -> Image:
    """The tracking image; provenance is about every file of the artifact."""
    predicate = parse_statement(provenance_statement(facts.artifact, artifact.digest, _build(facts))).predicate
    provenance = encode_statement(artifact.subjects, PROVENANCE_PREDICATE, predicate)
    subjects = [{"name": name, "digest": digest} for name, digest in artifact.subjects]
    described = {**facts.metadata["artifact"], "digest": artifact.digest, "subjects": subjects}
    return pack_tracking(
        {**facts.metadata, "artifact": described},
        provenance,
        spdx=sbom.spdx if sbom else None,
        syft=sbom.syft if sbom else None,
    )


def _place(facts: Facts, prefix: str) -> tuple[str, str]:
    return repository_path(prefix, facts.repository, facts.project, facts.artifact), tracking_tag(facts.commit)


async def _push(
    client: RegistryClient, signer: Signer, image: Image, place: tuple[str, str], copied: "asyncio.Task[None]"
) -> Sealed:
    repository, tag = place
    provenance = parse_statement(unpack_tracking(image).provenance)
    # The attestation is about the image too, so that `cosign verify-attestation` finds it there.
    subjects = [(None, image.digest), *((None, digest) for digest in provenance.subjects)]
    statement = encode_statement(subjects, PROVENANCE_PREDICATE, provenance.predicate)
    await push_signed(client, signer, image, repository, tag=tag, statements=[statement], before_tag=copied)
    return Sealed(repository, tag, image.descriptor)


async def _existing(client: RegistryClient, repository: str, tag: str, artifact: VerifiedArtifact) -> Image | None:
    digest = await client.resolve(repository, tag)
    if digest is None:
        return None
    image = await client.pull(repository, digest)
    try:
        tracking = unpack_tracking(image)
        sealed = tuple((entry["name"], entry["digest"]) for entry in tracking.metadata["artifact"]["subjects"])
    except (OciError, KeyError, TypeError) as error:
        raise PlatformError(
            f"{repository}:{tag} is not a tracking image of ours: remove it from the registry",
            code=ErrorCode.REGISTRY_FAILED,
            component=COMPONENT,
        ) from error
    if sealed == artifact.subjects:
        return image
    raise AlreadyExists(
        f"commit {tag.removeprefix('sha-')} was sealed with another content ({tracking.artifact_digest}, built now: "
        f"{artifact.digest}): the build is not reproducible, so a new commit is needed",
        existing_digest=tracking.artifact_digest,
        digest=artifact.digest,
        component=COMPONENT,
    )


def _build(facts: Facts) -> Build:
    return Build(
        builder_id=facts.builder,
        invocation_id=facts.invocation,
        source_uri=facts.source_uri,
        commit=facts.commit,
        started_on=timestamp(facts.started_at),
        finished_on=timestamp(facts.built_at),
        external_parameters=facts.parameters,
    )


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with seconds, ending in `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
