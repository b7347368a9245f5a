"""Sealed copies: the artifact's files in object storage, from which a repeated job goes on without a rebuild."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from pydantic import Field, ValidationError

from forge_oci.registry.session import gather
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.models.artifacts import CreateArtifactResponse
from forge_sdk.models.base import VersionedModel, WireModel
from forge_sdk.object_storage import ObjectStore
from forge_worker.verification import VerifiedArtifact, confined_location

RECORD = "sealed.json"
FILES = "files/"
MAX_RECORD = 4 * 2**20
PARALLEL = 4

logger = get_logger(__name__)


class Built(WireModel):
    """What a producer made, and when."""

    response: CreateArtifactResponse
    started_at: datetime
    built_at: datetime


class SealedRecord(VersionedModel):
    """What a sealed copy holds; written last, so a copy with a record is complete. `paths` are relative to staging."""

    commit_sha: str
    built: Built
    paths: tuple[str, ...] = Field(min_length=1)


class SealedCopies:
    """The sealed copy below one prefix (`forge_sdk.storage_keys.staging_prefix`)."""

    def __init__(self, storage: ObjectStore, prefix: str) -> None:
        self._storage, self._prefix = storage, prefix

    async def record(self, commit_sha: str) -> SealedRecord | None:
        """The record of a complete copy of the artifact at that commit, `None` where there is none."""
        try:
            data = await self._storage.get(self._prefix + RECORD, limit=MAX_RECORD)
            record = SealedRecord.model_validate_json(data)
        except ValidationError:
            logger.warning("sealed_copy_unreadable", prefix=self._prefix)
            return None
        except PlatformError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise
        return record if record.commit_sha == commit_sha else None

    async def restore(self, record: SealedRecord, staging: Path) -> bool:
        """Download the files of `record` into `staging`; false where one of them has expired."""
        try:
            await self._each(record.paths, lambda path: self._download(path, staging))
        except PlatformError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            logger.info("sealed_copy_expired", prefix=self._prefix)
            return False
        return True

    async def store(self, artifact: VerifiedArtifact, built: Built, commit_sha: str) -> None:
        """Upload the files, then the record; a complete copy of the same artifact is left as it is."""
        record = SealedRecord(commit_sha=commit_sha, built=built, paths=tuple(file.path for file in artifact.files))
        if await self.record(commit_sha) == record:
            return
        locations = {file.path: file.location for file in artifact.files}
        await self._each(
            record.paths, lambda path: self._storage.put_file(self._prefix + FILES + path, locations[path])
        )
        data = record.model_dump_json(by_alias=True).encode()
        await self._storage.put(self._prefix + RECORD, data, content_type="application/json")

    async def _download(self, path: str, staging: Path) -> None:
        location = confined_location(staging, path)
        location.parent.mkdir(parents=True, exist_ok=True)
        await self._storage.get_file(self._prefix + FILES + path, location)

    async def _each(self, paths: tuple[str, ...], call: Callable[[str], Awaitable[None]]) -> None:
        limit = asyncio.Semaphore(PARALLEL)

        async def one(path: str) -> None:
            async with limit:
                await call(path)

        await gather(one(path) for path in paths)
