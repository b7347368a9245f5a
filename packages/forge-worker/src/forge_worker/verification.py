"""Checks what a producer claims before anybody believes it: files, links, sizes, digests."""

import asyncio
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import JsonValue

from forge_oci.core.errors import OciError
from forge_oci.core.layout import read_layout
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.artifacts import (
    OUTPUT_MODELS,
    ArchiveOutput,
    BinaryOutput,
    ContainerOutput,
    CreateArtifactResponse,
)
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.plugins.files import file_facts

COMPONENT = "artifact"


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """A file that is there as claimed; `path` is relative to the staging directory, `location` absolute."""

    path: str
    location: Path
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class VerifiedArtifact:
    """A verified artifact.

    `digest` is that of the primary file, or of the image. `subjects` are what a publisher publishes and what provenance is
    about: each file, or the image. `files` are what is sealed: each file, or every file of the image's OCI layout.
    """

    digest: str
    subjects: tuple[tuple[str, str], ...]
    files: tuple[VerifiedFile, ...]
    layout: Path | None = None


async def verify_artifact(
    definition: ArtifactDefinition, project: str, response: CreateArtifactResponse, staging: Path
) -> VerifiedArtifact:
    """Check `response` against `definition` and against what lies in `staging`.

    Raises `PlatformError` with code `output_invalid` that names the file and both values.
    """
    claimed = {"name": response.name, "project": response.project, "type": response.type}
    wanted = {"name": definition.name, "project": project, "type": definition.type}
    for field, value in wanted.items():
        if claimed[field] != value:
            raise _invalid(f"the producer answered for {field} {claimed[field]!r}, asked was {value!r}")
    output = response.output
    if not isinstance(output, OUTPUT_MODELS[definition.type]):
        raise _invalid(f"the producer's output is not that of an artifact of type {definition.type.value}")
    if isinstance(output, ContainerOutput):
        return await asyncio.to_thread(_verify_layout, output, staging)
    return await asyncio.to_thread(_verify_files, output, staging)


def _verify_files(output: BinaryOutput | ArchiveOutput, staging: Path) -> VerifiedArtifact:
    files = [_verify_file(file.path, file.size, file.digest, staging) for file in output.files]
    if len({file.path for file in files}) != len(files):
        raise _invalid("the producer names one file twice")
    subjects = tuple((file.path, file.digest) for file in files)
    return VerifiedArtifact(files[0].digest, subjects, tuple(files))


def _verify_file(path: str, size: int, digest: str, staging: Path) -> VerifiedFile:
    location = confined_location(staging, path)
    if not location.is_file():
        raise _invalid(f"file {path!r} does not exist in the staging directory, or is no regular file", file=path)
    facts = file_facts(location)
    if facts.size != size:
        raise _invalid(f"file {path!r} has {facts.size} bytes, the producer says {size}", file=path)
    if facts.digest != digest:
        raise _invalid(f"file {path!r} has the digest {facts.digest}, the producer says {digest}", file=path)
    return VerifiedFile(path, location, size, digest)


def confined_location(staging: Path, path: str) -> Path:
    """The absolute path of `path` below `staging`; raises `output_invalid` for `..`, absolute paths and links."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or not path.isprintable() or "\\" in path:
        raise _invalid(f"path {path!r} must be relative and stay inside the staging directory", file=path)
    location = staging
    for part in parts:
        location /= part
        if location.is_symlink():
            raise _invalid(f"path {path!r} leads through a link: a producer must leave plain files", file=path)
    return location


def _verify_layout(output: ContainerOutput, staging: Path) -> VerifiedArtifact:
    if output.location_type != "oci-layout":
        raise _invalid("the producer left the image in a docker daemon: it must export it as an OCI layout to staging")
    layout = confined_location(staging, output.image_ref)
    for folder in ("blobs", "blobs/sha256"):
        confined_location(staging, f"{output.image_ref}/{folder}")
    try:
        image = read_layout(layout)
    except OciError as error:
        raise _invalid(f"the OCI layout {output.image_ref!r} is damaged: {error}").wrap(error) from error
    if image.digest != output.digest:
        raise _invalid(f"the image has the digest {image.digest}, the producer says {output.digest}")
    named = [layout / "oci-layout", layout / "index.json", *_blob_paths(layout, [image.digest, *image.blobs])]
    files = tuple(_fact(location, staging) for location in named)
    return VerifiedArtifact(image.digest, ((output.image_ref, image.digest),), files, layout)


def _blob_paths(layout: Path, digests: list[str]) -> list[Path]:
    return [layout / "blobs" / "sha256" / digest.removeprefix("sha256:") for digest in digests]


def _fact(location: Path, staging: Path) -> VerifiedFile:
    facts = file_facts(location)
    return VerifiedFile(str(location.relative_to(staging)), location, facts.size, facts.digest)


def _invalid(message: str, **context: JsonValue) -> PlatformError:
    return PlatformError(message, code=ErrorCode.OUTPUT_INVALID, component=COMPONENT, context=context)
