"""Requests and responses of producers and publishers, and what is recorded of an artifact."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from forge_sdk.identifiers import DIGEST_PATTERN
from forge_sdk.models.base import WireModel
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import GitContext
from forge_sdk.models.statuses import ArtifactType, PublicationState

Digest = Annotated[str, Field(pattern=DIGEST_PATTERN)]


class BinaryFile(WireModel):
    """One file of a binary artifact; `path` is relative to the staging directory, `size` in bytes."""

    path: str
    size: int = Field(ge=0)
    digest: Digest
    executable: bool = True
    arch: str = ""
    os: str = ""
    static: bool = False


class ArchiveFile(WireModel):
    """One file of an archive artifact; `path` is relative to the staging directory, `size` in bytes."""

    path: str
    format: Literal["tar.gz", "zip", "tar.bz2", "whl"]
    size: int = Field(ge=0)
    digest: Digest
    entries: int | None = None
    content_type: str | None = None


class BinaryOutput(WireModel):
    """Output of an artifact of type `binary`; the first file is the primary one."""

    location_type: Literal["file"] = "file"
    files: tuple[BinaryFile, ...] = Field(min_length=1)


class ArchiveOutput(WireModel):
    """Output of an artifact of type `archive`; the first file is the primary one."""

    location_type: Literal["file"] = "file"
    files: tuple[ArchiveFile, ...] = Field(min_length=1)


class ContainerOutput(WireModel):
    """Output of an artifact of type `container`."""

    location_type: Literal["docker-daemon", "oci-layout"]
    image_ref: str
    image_id: str
    digest: Digest
    size: int = Field(ge=0)
    base_image: str | None = None
    layers: int | None = None


ArtifactOutput = ContainerOutput | BinaryOutput | ArchiveOutput
OUTPUT_MODELS: dict[ArtifactType, type[ArtifactOutput]] = {
    ArtifactType.CONTAINER: ContainerOutput,
    ArtifactType.BINARY: BinaryOutput,
    ArtifactType.ARCHIVE: ArchiveOutput,
}


class CreateArtifactRequest(WireModel):
    """What a producer is asked for. Paths are absolute; everything it makes goes below `staging_path`."""

    project: str
    project_path: str
    repository: str
    repository_path: str
    commit_sha: str
    release_id: UUID
    artifact: ArtifactDefinition
    staging_path: str


class CreateArtifactResponse(WireModel):
    """What a producer made. The platform verifies files, sizes and digests before it believes them."""

    name: str
    project: str
    type: ArtifactType
    output: ArtifactOutput
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class PublishArtifactRequest(WireModel):
    """What a publisher is asked for. `staging_path` is the absolute folder that the output's paths are relative to."""

    project: str
    project_path: str
    repository: str
    repository_path: str
    commit_sha: str
    git: GitContext
    release_id: UUID
    artifact: CreateArtifactResponse
    staging_path: str
    publisher: str
    repo_config: dict[str, JsonValue] = Field(default_factory=dict)
    project_config: dict[str, JsonValue] = Field(default_factory=dict)


class PreflightRequest(WireModel):
    """What a publisher may check before anything is built."""

    project: str
    repository: str
    commit_sha: str
    git: GitContext
    artifact: ArtifactDefinition
    publisher: str
    repo_config: dict[str, JsonValue] = Field(default_factory=dict)
    project_config: dict[str, JsonValue] = Field(default_factory=dict)


class PreflightResponse(WireModel):
    """What was found; each warning is a sentence. What must stop a release is raised as an error instead."""

    warnings: tuple[str, ...] = ()


class PublishedFile(WireModel):
    """What became of one file (or image) at one publisher's target."""

    file: str
    digest: Digest
    state: PublicationState
    uri: str = ""
    error: ErrorDetail | None = None


class PublishArtifactResponse(WireModel):
    """Where the artifact is now. `metadata` holds the publisher's declared outputs, `files` the outcome of each file."""

    uri: str
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    files: tuple[PublishedFile, ...] = ()


class PublisherResult(WireModel):
    """The outcome of one publisher of one artifact, as it is recorded."""

    publisher: str
    uri: str = ""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    files: tuple[PublishedFile, ...] = ()
    error: ErrorDetail | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the publisher did all that it was asked for."""
        return self.error is None


class ArtifactRecord(WireModel):
    """What a release knows of one of its artifacts. OCI names are without host, which configuration gives."""

    name: str
    type: ArtifactType
    digest: Digest
    output: ArtifactOutput
    tracking_oci_uri: str
    tracking_oci_digest: Digest
    publishers: tuple[PublisherResult, ...] = ()
    built_at: datetime

    @property
    def primary_uri(self) -> str | None:
        """The uri of the first publisher, in the order of the source text."""
        return self.publishers[0].uri if self.publishers and self.publishers[0].succeeded else None

    def attributes(self) -> dict[str, JsonValue]:
        """The structure that `@artifact` paths name: producer's fields, `uri`, and `publishers` by name."""
        values: dict[str, JsonValue] = self._producer_fields()
        published: dict[str, JsonValue] = {
            result.publisher: {"uri": result.uri, **result.metadata} for result in self.publishers if result.succeeded
        }
        values["publishers"] = published
        if self.primary_uri is not None:
            values["uri"] = self.primary_uri
        return values

    def _producer_fields(self) -> dict[str, JsonValue]:
        fields = self.output.model_dump(mode="json", exclude={"location_type"}, exclude_none=True)
        files = fields.pop("files", None)
        if isinstance(files, list):
            shown = [{name: value for name, value in file.items() if name != "path"} for file in files]
            fields.update(shown[0])
            fields["files"] = shown
        return fields
