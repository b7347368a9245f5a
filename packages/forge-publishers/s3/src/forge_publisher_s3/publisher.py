"""The publisher: look first, store what is missing, never overwrite an object."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from forge_publisher_s3.configuration import ProjectS3, RepositoryS3, S3Outputs
from forge_publisher_s3.headers import IMMUTABLE, content_type, site_cache
from forge_publisher_s3.locations import base_key, object_keys, public_url, uri
from forge_sdk.errors import ConfigurationError, TransientError
from forge_sdk.models.artifacts import (
    ArchiveFile,
    ArchiveOutput,
    BinaryFile,
    BinaryOutput,
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
    from forge_publisher_s3.archives import Entry
    from forge_publisher_s3.bucket import Bucket
    from forge_publisher_s3.site import Release

PARALLEL = 4
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Job:
    """One call: its configuration, its bucket and where in it things go."""

    context: PublisherContext
    repository: RepositoryS3
    project: ProjectS3
    key: str

    async def bucket(self) -> "Bucket":
        """The bucket, with the credentials resolved now."""
        # boto3 takes a quarter of a second to import: only processes that publish pay for it.
        from forge_publisher_s3.bucket import Bucket, Credentials

        reference = self.repository.credentials
        if reference is None:
            return await asyncio.to_thread(Bucket.connect, self.repository, None)
        secret = await self.context.secret(reference)
        access, separator, _ = secret.reveal().partition(":")
        if not separator or not access:
            raise ConfigurationError(f"secret {reference} must hold the access key and the secret key as access:secret")
        key = type(secret)(secret.reveal()[len(access) + 1 :])
        return await asyncio.to_thread(Bucket.connect, self.repository, Credentials(access, key, str(reference)))

    async def call(self, function: Callable[[Event], Result]) -> Result:
        """The result of a blocking function, tried again while it fails in passing; it is told when the job is cancelled."""
        stop = Event()
        try:
            return await self.context.retry.call(lambda: asyncio.to_thread(function, stop))
        finally:
            stop.set()

    def response(self, key: str, files: list[PublishedFile]) -> PublishArtifactResponse:
        """The answer for what lies under `key`."""
        outputs = S3Outputs(
            bucket=self.repository.bucket, key=key, public_url=public_url(self.repository, _page(key, self.project))
        )
        return PublishArtifactResponse(
            uri=uri(self.repository, key), metadata=outputs.model_dump(mode="json"), files=tuple(files)
        )


class S3Publisher:
    """Publishes to S3 and to every store that speaks its protocol with conditional writes."""

    name = "s3"
    artifact_types = frozenset({ArtifactType.ARCHIVE, ArtifactType.BINARY})
    repository_configuration = RepositoryS3
    project_configuration = ProjectS3
    outputs = S3Outputs
    settings = None
    repository_schema = """{
	bucket!: =~"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
	// In front of every key.
	prefix?: string
	region?: string
	// Another server than Amazon's; needs credentials.
	endpoint?: =~"^https?://"
	// Address of the bucket's root for readers, such as a CDN.
	public_url?: =~"^https?://"
}"""
    project_schema = """{
	// Name of the object, or of the folder where it ends with a slash; {commit}, {tag} and {project} are filled in.
	key?: string
	// Unpack the archive below the key.
	site?: bool
	// Start page of a site.
	index?: string
	cache_control?: string
}"""

    async def preflight(self, request: PreflightRequest, context: PublisherContext) -> PreflightResponse:
        """Resolve the credentials, see whether the bucket is there, and whether a fixed name is taken."""
        job = _job(request, context)
        _check_type(job, request.artifact.type)
        bucket = await job.bucket()

        def look(_: Event) -> str | None:
            bucket.check()
            return None if job.key.endswith("/") else bucket.digest_of(job.key)

        try:
            existing = await job.call(look)
        except TransientError as error:
            return PreflightResponse(warnings=(error.message,))
        if existing is not None:
            return PreflightResponse(warnings=(f"{uri(job.repository, job.key)} is taken by {existing}",))
        return PreflightResponse()

    async def publish(self, request: PublishArtifactRequest, context: PublisherContext) -> PublishArtifactResponse:
        """Store each file, or the site; what is there already with the same content counts as published."""
        output = request.artifact.output
        if not isinstance(output, ArchiveOutput | BinaryOutput):
            raise ConfigurationError("the s3 publisher takes artifacts of type 'archive' and 'binary'")
        job = _job(request, context)
        _check_type(job, request.artifact.type)
        staging = Path(request.staging_path)
        if not job.project.site:
            return await _publish_objects(job, output.files, staging)
        if len(output.files) != 1:
            raise ConfigurationError(f"a site is one archive, the artifact has {len(output.files)} files")
        state = await _publish_site(job, request, output.files[0], confined(staging, output.files[0].path))
        file = output.files[0]
        location = uri(job.repository, job.key)
        published = PublishedFile(file=file.path, digest=file.digest, state=state, uri=location)
        await context.file_published(published)
        return job.response(job.key, [published])


async def _publish_objects(
    job: Job, files: Sequence[ArchiveFile | BinaryFile], staging: Path
) -> PublishArtifactResponse:
    from forge_publisher_s3.bucket import Content
    from forge_publisher_s3.uploads import create

    bucket = await job.bucket()
    keys = object_keys(job.key, [file.path for file in files])
    published: list[PublishedFile] = []
    for file, key in zip(files, keys, strict=True):
        content = Content(
            path=confined(staging, file.path),
            size=file.size,
            digest=file.digest,
            content_type=(isinstance(file, ArchiveFile) and file.content_type) or content_type(file.path),
            cache_control=job.project.cache_control or IMMUTABLE,
        )
        state = await job.call(lambda stop, key=key, content=content: create(bucket, key, content, stop))  # type: ignore[misc]
        done = PublishedFile(file=file.path, digest=file.digest, state=state, uri=uri(job.repository, key))
        await job.context.file_published(done)
        published.append(done)
    return job.response(keys[0], published)


async def _publish_site(
    job: Job, request: PublishArtifactRequest, file: ArchiveFile | BinaryFile, archive: Path
) -> PublicationState:
    from forge_publisher_s3.archives import unpack
    from forge_publisher_s3.site import ContendedError, Release

    with tempfile.TemporaryDirectory(prefix="forge-site-", ignore_cleanup_errors=True) as folder:
        entries = await asyncio.to_thread(unpack, archive, Path(folder))
        _check_site(job, file.path, [entry.path for entry in entries])
        project = f"{request.repository}/{request.project}"
        release = Release(project, request.release_id, request.commit_sha, file.digest)
        bucket = await job.bucket()
        try:
            return await job.context.retry.call(
                lambda: _replace_site(job, bucket, release, entries),
                retry_on=lambda error: isinstance(error, ContendedError),
            )
        except ContendedError as error:
            raise TransientError(str(error)) from error


async def _replace_site(job: Job, bucket: "Bucket", release: "Release", entries: "list[Entry]") -> PublicationState:
    from forge_publisher_s3.site import Site, waves

    site, paths = Site(bucket, job.key), [entry.path for entry in entries]
    claimed = await job.call(lambda _: site.begin(release, paths))
    if claimed is None:
        return PublicationState.IDENTICAL
    for wave in waves(entries, job.project.index):
        await _store_all(job, bucket, wave)
    await job.call(lambda _: site.finish(claimed, release, paths))
    return PublicationState.PUBLISHED


async def _store_all(job: Job, bucket: "Bucket", entries: "list[Entry]") -> None:
    from forge_publisher_s3.bucket import Content
    from forge_publisher_s3.uploads import replace

    limit = asyncio.Semaphore(PARALLEL)

    async def store(entry: "Entry") -> None:
        cache = site_cache(entry.path, job.project.cache_control)
        content = Content(entry.location, entry.size, entry.digest, content_type(entry.path), cache)
        async with limit:
            await job.call(lambda stop: replace(bucket, job.key + entry.path, content, stop))

    try:
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                group.create_task(store(entry))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


def _check_site(job: Job, archive: str, paths: list[str]) -> None:
    from forge_publisher_s3.site import RECORD

    if job.project.index not in paths:
        raise ConfigurationError(
            f"archive {archive} has no {job.project.index}: pack the content of the site's folder, not the folder"
        )
    if RECORD in paths:
        raise ConfigurationError(f"archive {archive} holds {RECORD}, which is the platform's own name")


def _job(request: PublishArtifactRequest | PreflightRequest, context: PublisherContext) -> Job:
    repository = RepositoryS3.model_validate(request.repo_config)
    project = ProjectS3.model_validate(request.project_config)
    names = {"repository": request.repository, "project": request.project}
    key = base_key(repository, project, names=names, git=request.git, commit_sha=request.commit_sha)
    return Job(context, repository, project, key)


def _check_type(job: Job, kind: ArtifactType) -> None:
    if job.project.site and kind is not ArtifactType.ARCHIVE:
        raise ConfigurationError(f"a site is an artifact of type 'archive', not {kind.value!r}")


def _page(key: str, project: ProjectS3) -> str:
    return key + project.index if project.site else key
