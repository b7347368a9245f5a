"""Uploads: most files in one request, very large ones in parts, each request checked by the server. Blocking, memory stays flat."""

import base64
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from s3transfer.utils import ReadFileChunk

from forge_publisher_s3.bucket import Bucket, ChangedError, Content
from forge_sdk.errors import AlreadyExists, ErrorCode, PlatformError, TransientError
from forge_sdk.models.statuses import PublicationState

ONE_REQUEST = 32 * 2**20
"""Bytes of a file that is sent in one request; larger ones are sent in parts, some at a time."""
PART = 8 * 2**20
MAX_PARTS = 10_000
PARALLEL = 4
CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file: its number from 1, its range in bytes, and the event that ends the upload."""

    number: int
    start: int
    size: int
    stop: Event


class StoppableFile(io.FileIO):
    """A file whose reading ends with `TransientError` once the event is set."""

    def __init__(self, path: Path, stop: Event) -> None:
        super().__init__(path)
        self._stop = stop

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.FileIO.read`."""
        if self._stop.is_set():
            raise TransientError("the upload was cancelled")
        return super().read(-1 if size is None else size) or b""


def create(bucket: Bucket, key: str, content: Content, stop: Event) -> PublicationState:
    """Make sure that `key` holds `content`, without ever replacing anything.

    `published` or, where it was there, `identical`. Raises `AlreadyExists` where it holds something else. `stop` ends an upload.
    """
    existing = bucket.digest_of(key)
    if existing is None:
        try:
            _store(bucket, key, content, stop, only_new=True)
        except ChangedError:
            existing = bucket.digest_of(key)  # somebody was faster, or an earlier try of ours whose answer was lost
        else:
            return PublicationState.PUBLISHED
    if existing is None:
        raise TransientError(f"s3://{bucket.name}/{key} came and went while it was written")
    if existing != content.digest:
        raise AlreadyExists(
            f"s3://{bucket.name}/{key} holds other content ({existing}, built {content.digest}): publish under another key",
            existing_digest=existing,
            digest=content.digest,
        )
    return PublicationState.IDENTICAL


def replace(bucket: Bucket, key: str, content: Content, stop: Event) -> None:
    """Store `content` under `key`, whatever is there."""
    _store(bucket, key, content, stop, only_new=False)


def _store(bucket: Bucket, key: str, content: Content, stop: Event, *, only_new: bool) -> None:
    if content.size <= ONE_REQUEST:
        _check(content, _digest(content, stop))
        with StoppableFile(content.path, stop) as body:
            bucket.put(key, content, body, only_new=only_new)
    else:
        _store_in_parts(bucket, key, content, stop, only_new=only_new)


def _store_in_parts(bucket: Bucket, key: str, content: Content, stop: Event, *, only_new: bool) -> None:
    target = {"Bucket": bucket.name, "Key": key}
    with bucket.translated(key):
        started = bucket.client.create_multipart_upload(**target, ChecksumAlgorithm="SHA256", **content.headers)
    target["UploadId"] = str(started["UploadId"])
    try:
        parts = _parts(bucket, target, content, stop)
        condition = {"IfNoneMatch": "*"} if only_new else {}
        with bucket.translated(key):
            bucket.client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts}, **condition)
    except BaseException:
        # What is left over would be paid for; the bucket's own rules remove what can't be removed now.
        with suppress(PlatformError, ChangedError), bucket.translated(key):
            bucket.client.abort_multipart_upload(**target)
        raise


def _parts(bucket: Bucket, target: dict[str, str], content: Content, stop: Event) -> list[dict[str, Any]]:
    size = max(PART, -(-content.size // MAX_PARTS))
    starts = range(0, content.size, size)
    with ThreadPoolExecutor(PARALLEL, "s3-part") as pool:
        whole = pool.submit(_digest, content, stop)
        parts = [
            pool.submit(_part, bucket, target, content, Part(number, start, min(size, content.size - start), stop))
            for number, start in enumerate(starts, 1)
        ]
        try:
            done = [part.result() for part in parts]
            digest = whole.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    _check(content, digest)
    return done


def _check(content: Content, digest: str) -> None:
    if digest != content.digest:
        raise PlatformError(f"{content.path.name} has changed since it was built", code=ErrorCode.OUTPUT_INVALID)


def _digest(content: Content, stop: Event) -> str:
    with content.path.open("rb") as file:
        return f"sha256:{_sha256(file, stop).hexdigest()}"


def _part(bucket: Bucket, target: dict[str, str], content: Content, part: Part) -> dict[str, Any]:
    # The file is read twice, from memory the second time, so that no part is ever held as a whole.
    with ReadFileChunk.from_filename(str(content.path), part.start, part.size) as body:
        checksum = base64.b64encode(_sha256(body, part.stop).digest()).decode()
        body.seek(0)
        with bucket.translated(target["Key"]):
            answer = bucket.client.upload_part(**target, PartNumber=part.number, Body=body, ChecksumSHA256=checksum)
    return {"PartNumber": part.number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}


def _sha256(file: Any, stop: Event) -> Any:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        if stop.is_set():
            raise TransientError("the upload was cancelled")
        digest.update(chunk)
    return digest
