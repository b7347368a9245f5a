"""The publisher: look first, upload what is missing, never overwrite."""

import asyncio
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

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
from forge_sdk.plugins.files import confined

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
            await asyncio.to_thread(index.digests_of, request.project, [])
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
        name, version = _only_identity(output.files)
        index = await _index(RepositoryPypi.model_validate(request.repo_config), context)
        found = await _look_first(index, output.files, context)
        staging = Path(request.staging_path)
        published = [found.get(file.path) or await _publish(index, file, staging, context) for file in output.files]
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


async def _look_first(
    index: "Index", files: Sequence[ArchiveFile], context: PublisherContext
) -> dict[str, PublishedFile]:
    """What is there already, by path. Other content of any file ends it before one is uploaded: half a version helps nobody."""
    name, _ = _identity(files[0].path)
    filenames = [_filename(file.path) for file in files]
    digests = await context.retry.call(lambda: asyncio.to_thread(index.digests_of, name, filenames))
    found, conflicts = {}, []
    for file, filename in zip(files, filenames, strict=True):
        existing = digests.get(filename)
        if existing == file.digest:
            found[file.path] = _outcome(index, file, PublicationState.IDENTICAL)
            await context.file_published(found[file.path])
        elif existing is not None:
            conflicts.append(_conflict(filename, existing, file.digest))
            refused = _outcome(index, file, PublicationState.CONFLICT)
            await context.file_published(refused.model_copy(update={"uri": "", "error": conflicts[-1].to_detail()}))
    if conflicts:
        raise conflicts[0]
    return found


async def _publish(index: "Index", file: ArchiveFile, staging: Path, context: PublisherContext) -> PublishedFile:
    path = confined(staging, file.path)
    state = await context.retry.call(lambda: asyncio.to_thread(_ensure, index, path, file.digest))
    published = _outcome(index, file, state)
    await context.file_published(published)
    return published


def _ensure(index: "Index", path: Path, digest: str) -> PublicationState:
    from forge_publisher_pypi.index import TakenError

    if _is_there(index, path, digest):
        return PublicationState.IDENTICAL
    try:
        index.upload(path)
    except TakenError as error:
        # Somebody was faster, or an earlier try of ours whose answer was lost.
        if _is_there(index, path, digest):
            return PublicationState.IDENTICAL
        raise PlatformError(f"the index refused {path.name}: {error}", code=ErrorCode.PUBLISH_FAILED) from error
    return PublicationState.PUBLISHED


def _is_there(index: "Index", path: Path, digest: str) -> bool:
    existing = index.digests_of(_identity(path.name)[0], [path.name]).get(path.name)
    if existing is not None and existing != digest:
        raise _conflict(path.name, existing, digest)
    return existing is not None


def _conflict(filename: str, existing: str, digest: str) -> AlreadyExists:
    return AlreadyExists(
        f"{filename} is on the index with other content ({existing}, built {digest}): raise the version and commit",
        existing_digest=existing,
        digest=digest,
    )


def _outcome(index: "Index", file: ArchiveFile, state: PublicationState) -> PublishedFile:
    uri = f"{index.index_url}{_identity(file.path)[0]}/"
    return PublishedFile(file=file.path, digest=file.digest, state=state, uri=uri)


def _filename(path: str) -> str:
    return PurePosixPath(path).name


def _only_identity(files: Sequence[ArchiveFile]) -> tuple[str, str]:
    """Name and version that all files have."""
    found = {_identity(file.path) for file in files}
    if len(found) != 1:
        named = ", ".join(sorted(f"{name} {version}" for name, version in found))
        raise ConfigurationError(f"the files of one artifact are of one version of one package, not of {named}")
    return found.pop()


def _identity(path: str) -> tuple[str, str]:
    # It takes long to import, and the plugin is loaded also where nothing is published.
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    filename = _filename(path)
    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise ConfigurationError(f"{filename} is neither a wheel nor a source distribution: {error}") from error
    return str(name), str(version)
