"""The publisher: look first, upload what is missing, never overwrite."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

from forge_publisher_pypi.configuration import ProjectPypi, PypiOutputs, RepositoryPypi
from forge_sdk.errors import AlreadyExists, ConfigurationError, ErrorCode, PlatformError, TransientError
from forge_sdk.models.artifacts import (
    ArchiveFile,
    ArchiveOutput,
    PreflightRequest,
    PreflightResponse,
    PublishArtifactRequest,
    PublishArtifactResponse,
    PublishedFile,
)
from forge_sdk.models.statuses import ArtifactType, PublicationState
from forge_sdk.plugins import PublisherContext

if TYPE_CHECKING:
    from forge_publisher_pypi.index import Index


class PypiPublisher:
    """Publishes to PyPI and to every index that speaks its upload protocol and the simple API."""

    name = "pypi"
    artifact_types = frozenset({ArtifactType.ARCHIVE})
    repository_configuration = RepositoryPypi
    project_configuration = ProjectPypi
    outputs = PypiOutputs
    settings = None
    repository_schema = """{
	// Simple API of the index, as installers use it.
	index_url!: =~"^https?://"
	// Where uploads go; default: the index without its last segment "simple".
	upload_url?: =~"^https?://"
}"""
    project_schema = "{}"

    async def preflight(self, request: PreflightRequest, context: PublisherContext) -> PreflightResponse:
        """Resolve the credentials and ask the index for something; the name of the files is known only after the build."""
        index = await _index(RepositoryPypi.model_validate(request.repo_config), context)
        try:
            await asyncio.to_thread(index.digest_of, request.project, "none.whl")
        except TransientError as error:
            return PreflightResponse(warnings=(error.message,))
        return PreflightResponse()

    async def publish(self, request: PublishArtifactRequest, context: PublisherContext) -> PublishArtifactResponse:
        """Publish each file; files that are there already with the same content count as published."""
        output = request.artifact.output
        if not isinstance(output, ArchiveOutput):
            raise ConfigurationError(
                "the pypi publisher takes artifacts of type 'archive' that hold wheels or source distributions"
            )
        index = await _index(RepositoryPypi.model_validate(request.repo_config), context)
        published = [await _publish(index, file, Path(request.staging_path), context) for file in output.files]
        name, version = _identity(output.files[0].path)
        outputs = PypiOutputs(index_url=index.index_url, package_name=name, version=version)
        return PublishArtifactResponse(
            uri=f"{index.index_url}{name}/", metadata=outputs.model_dump(mode="json"), files=tuple(published)
        )


async def _index(configuration: RepositoryPypi, context: PublisherContext) -> "Index":
    # The client libraries take a third of a second to import: only processes that publish pay for them.
    from forge_publisher_pypi.index import Credentials, Index

    if configuration.credentials is None:
        return Index(configuration.index_url, configuration.upload, None)
    secret = await context.secret(configuration.credentials)
    user, separator, _ = secret.reveal().partition(":")
    # An API token is used with a fixed user name; "user:password" is for indexes that know users.
    password = type(secret)(secret.reveal()[len(user) + 1 :]) if separator else secret
    credentials = Credentials(user if separator else "__token__", password, str(configuration.credentials))
    return Index(configuration.index_url, configuration.upload, credentials)


async def _publish(index: "Index", file: ArchiveFile, staging: Path, context: PublisherContext) -> PublishedFile:
    name, _ = _identity(file.path)
    path = staging / file.path
    state = await context.retry.call(lambda: asyncio.to_thread(_ensure, index, name, path, file.digest))
    published = PublishedFile(file=file.path, digest=file.digest, state=state, uri=f"{index.index_url}{name}/")
    await context.file_published(published)
    return published


def _ensure(index: "Index", project: str, path: Path, digest: str) -> PublicationState:
    from forge_publisher_pypi.index import TakenError

    if _is_there(index, project, path, digest):
        return PublicationState.IDENTICAL
    try:
        index.upload(path)
    except TakenError as error:
        # Somebody was faster, or an earlier try of ours whose answer was lost.
        if _is_there(index, project, path, digest):
            return PublicationState.IDENTICAL
        raise PlatformError(f"the index refused {path.name}: {error}", code=ErrorCode.PUBLISH_FAILED) from error
    return PublicationState.PUBLISHED


def _is_there(index: "Index", project: str, path: Path, digest: str) -> bool:
    existing = index.digest_of(project, path.name)
    if existing is None:
        return False
    if existing != digest:
        raise AlreadyExists(
            f"{path.name} is on the index with other content ({existing}, built {digest}): raise the version and commit",
            existing_digest=existing,
            digest=digest,
        )
    return True


def _identity(filename: str) -> tuple[str, str]:
    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise ConfigurationError(f"{filename} is neither a wheel nor a source distribution: {error}") from error
    return str(name), str(version)
