"""A whole site in place of the one before, without a moment in which a page or what it needs is missing.

Assets are stored first, then pages, then the start page; only then goes what the new site does not have. A record beside the site says
what belongs to it, so that a crash anywhere is made good by the next try, and nothing is deleted that no release put there.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from pydantic import Field, ValidationError

from forge_publisher_s3.archives import Entry
from forge_publisher_s3.bucket import Bucket, ChangedError
from forge_publisher_s3.headers import is_page
from forge_sdk.errors import AlreadyExists, ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.base import VersionedModel

RECORD = ".forge-site.json"
MAX_RECORD = 32 * 2**20
TIME_ORDERED = 7


class ContendedError(Exception):
    """Another release wrote the site's record in between: what it says must be read anew."""


class Record(VersionedModel):
    """What a site consists of: `files` are those of the release `digest`, `stale` those that are there besides (paths below the site)."""

    project: str
    release_id: UUID | None = None
    commit_sha: str = ""
    digest: str = ""
    files: tuple[str, ...] = ()
    stale: tuple[str, ...] = Field(default=())


@dataclass(frozen=True, slots=True)
class Release:
    """What is to be published: the archive's digest, and whose it is (`owner/name/project`)."""

    project: str
    release_id: UUID
    commit_sha: str
    digest: str


class Site:
    """The site below one key, which ends with a slash."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        self._etag: str | None = None

    def begin(self, release: Release, paths: list[str]) -> Record | None:
        """Claim the site for `release` and note what will be written; `None` where it is there already, complete.

        Raises `AlreadyExists` where a later release is there, `ConfigurationError` where the key is somebody else's,
        `ContendedError`.
        """
        record = self._read(release)
        if record.digest == release.digest:
            self._remove_stale(record)
            return None
        _check_not_backwards(record, release)
        stale = tuple(sorted({*record.stale, *paths} - set(record.files)))
        claimed = record.model_copy(update={"stale": stale})
        self._write(claimed)
        return claimed

    def finish(self, claimed: Record, release: Release, paths: list[str]) -> None:
        """Record the release as the one that is there, then delete what it does not have. Raises `ContendedError`."""
        stale = tuple(sorted({*claimed.files, *claimed.stale} - set(paths)))
        record = Record(
            project=release.project,
            release_id=release.release_id,
            commit_sha=release.commit_sha,
            digest=release.digest,
            files=tuple(sorted(paths)),
            stale=stale,
        )
        self._write(record)
        self._remove_stale(record)

    def current(self) -> Record | None:
        """The record of what is there."""
        found = self._bucket.read(self._key + RECORD, limit=MAX_RECORD)
        if found is None:
            self._etag = None
            return None
        data, self._etag = found
        try:
            return Record.model_validate_json(data)
        except ValidationError as error:
            raise PlatformError(
                f"s3://{self._bucket.name}/{self._key}{RECORD} can't be read: remove it together with the site",
                code=ErrorCode.PUBLISH_FAILED,
            ) from error

    def _read(self, release: Release) -> Record:
        record = self.current()
        where = f"s3://{self._bucket.name}/{self._key}"
        if record is None:
            if not self._bucket.is_empty(self._key):
                raise ConfigurationError(f"{where} holds objects that no release put there: choose another key")
            return Record(project=release.project)
        if record.project != release.project:
            raise ConfigurationError(f"{where} is the site of {record.project}: choose another key")
        return record

    def _remove_stale(self, record: Record) -> None:
        if record.stale:
            self._bucket.delete([self._key + path for path in record.stale])
            self._write(record.model_copy(update={"stale": ()}))

    def _write(self, record: Record) -> None:
        data = record.model_dump_json(by_alias=True).encode()
        try:
            self._etag = self._bucket.write(self._key + RECORD, data, etag=self._etag)
        except ChangedError as error:
            raise ContendedError(f"another release is writing the site s3://{self._bucket.name}/{self._key}") from error


def waves(entries: list[Entry], index: str) -> Iterator[list[Entry]]:
    """The files in groups, each of which may only lead to those before it: assets, pages, the start page."""
    kinds: Mapping[str, Callable[[Entry], bool]] = {
        "assets": lambda entry: entry.path != index and not is_page(entry.path),
        "pages": lambda entry: entry.path != index and is_page(entry.path),
        "start": lambda entry: entry.path == index,
    }
    for belongs in kinds.values():
        yield [entry for entry in entries if belongs(entry)]


def _check_not_backwards(record: Record, release: Release) -> None:
    """Identifiers of releases count up with time: a retry of an older one must not undo a newer one."""
    there, ours = record.release_id, release.release_id
    if there is not None and there.version == ours.version == TIME_ORDERED and there > ours:
        raise AlreadyExists(
            f"the site is of a later release (commit {record.commit_sha}, {record.digest}): this one "
            f"({release.digest}) would take it back; make a new release instead",
            existing_digest=record.digest,
            digest=release.digest,
        )
