"""One bucket. Blocking: boto3 does the work, its errors are translated here."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from forge_publisher_s3.configuration import RepositoryS3
from forge_sdk.errors import AuthenticationError, ConfigurationError, ErrorCode, PlatformError, TransientError
from forge_sdk.secrets import Secret

DIGEST_METADATA = "forge-sha256"
MISSING = {"404", "NoSuchKey", "NotFound"}
REFUSED = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
CHANGED = {"412", "PreconditionFailed"}
TRANSIENT = {
    *("408", "409", "429", "500", "502", "503", "504", "ConditionalRequestConflict", "InternalError", "RequestTimeout"),
    *("ServiceUnavailable", "SlowDown", "Throttling"),
}
MAX_DELETED = 1000
SHA256_LENGTH = 32


_CLIENTS = Lock()
"""A session makes one client at a time."""


class ChangedError(Exception):
    """A conditional write found something else than it expected."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access key and secret, and the reference that they came from, for messages."""

    access: str
    secret: Secret
    reference: str


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be stored: a file, its digest, and the headers that readers get."""

    path: Path
    size: int
    digest: str
    content_type: str
    cache_control: str

    @property
    def checksum(self) -> str:
        """The digest as S3 writes it: base64 of the SHA-256."""
        return base64.b64encode(bytes.fromhex(self.digest.removeprefix("sha256:"))).decode()

    @property
    def headers(self) -> dict[str, Any]:
        """Arguments of every kind of write."""
        return {
            "ContentType": self.content_type,
            "CacheControl": self.cache_control,
            "Metadata": {DIGEST_METADATA: self.digest},
        }


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls of one bucket; errors are `PlatformError`, conditional writes that lose raise `ChangedError`."""

    client: Any = field(repr=False)
    name: str
    identity: str

    @classmethod
    def connect(cls, configuration: RepositoryS3, credentials: Credentials | None) -> "Bucket":
        """A bucket as it is configured; without credentials the SDK's own chain is asked at the first call."""
        keys: dict[str, str] = {}
        if credentials is not None:
            keys = {"aws_access_key_id": credentials.access, "aws_secret_access_key": credentials.secret.reveal()}
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"} if configuration.endpoint else {},
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=16,
        )
        with _CLIENTS, translated(configuration.bucket, "the worker's own identity"):
            client = _session().client(
                "s3", region_name=configuration.region, endpoint_url=configuration.endpoint, config=config, **keys
            )
        identity = f"credentials {credentials.reference}" if credentials else "the worker's own identity"
        return cls(client, configuration.bucket, identity)

    def check(self) -> None:
        """See whether the bucket exists and may be used."""
        with self.translated(""):
            try:
                self.client.head_bucket(Bucket=self.name)
            except ClientError as error:
                if _code(error) in MISSING | {"NoSuchBucket"}:
                    raise ConfigurationError(f"bucket {self.name} does not exist: create it first") from error
                raise

    def digest_of(self, key: str) -> str | None:
        """The digest (`sha256:<hex>`) of an object, `None` where there is none."""
        with self.translated(key):
            try:
                head = self.client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if _code(error) in MISSING:
                    return None
                raise
            return _digest_in(head) or self._downloaded_digest(key)

    def is_empty(self, prefix: str) -> bool:
        """Whether no key starts with `prefix`."""
        with self.translated(prefix):
            found = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=1)
            return not found.get("KeyCount", len(found.get("Contents", [])))

    def put(self, key: str, content: Content, body: IO[bytes], *, only_new: bool) -> None:
        """Store `body`, the file of `content`, in one request; the server checks its SHA-256. With `only_new`, `ChangedError` where the key is taken."""
        condition = {"IfNoneMatch": "*"} if only_new else {}
        with self.translated(key):
            self.client.put_object(
                Bucket=self.name,
                Key=key,
                Body=body,
                ChecksumSHA256=content.checksum,
                **content.headers,
                **condition,
            )

    def read(self, key: str, *, limit: int) -> tuple[bytes, str] | None:
        """A small object and its ETag, `None` where there is none."""
        with self.translated(key):
            try:
                answer = self.client.get_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if _code(error) in MISSING:
                    return None
                raise
            data: bytes = answer["Body"].read(limit + 1)
            if len(data) > limit:
                raise PlatformError(
                    f"s3://{self.name}/{key} is larger than {limit} bytes", code=ErrorCode.PUBLISH_FAILED
                )
            return data, str(answer["ETag"])

    def write(self, key: str, data: bytes, *, etag: str | None) -> str:
        """Replace the object that has `etag` (`None`: create it) and return the new ETag; `ChangedError` where it has another."""
        condition = {"IfMatch": etag} if etag is not None else {"IfNoneMatch": "*"}
        with self.translated(key):
            answer = self.client.put_object(
                Bucket=self.name,
                Key=key,
                Body=data,
                ContentType="application/json",
                CacheControl="no-store",
                ChecksumAlgorithm="SHA256",
                **condition,
            )
            return str(answer["ETag"])

    def delete(self, keys: list[str]) -> None:
        """Delete objects; those that are not there are no error."""
        for start in range(0, len(keys), MAX_DELETED):
            objects = [{"Key": key} for key in keys[start : start + MAX_DELETED]]
            with self.translated(keys[start]):
                answer = self.client.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})
            for failed in answer.get("Errors", []):
                raise PlatformError(
                    f"s3://{self.name}/{failed.get('Key')} can't be deleted: {failed.get('Code')}",
                    code=ErrorCode.PUBLISH_FAILED,
                )

    def _downloaded_digest(self, key: str) -> str:
        body: IO[bytes] = self.client.get_object(Bucket=self.name, Key=key)["Body"]
        digest = hashlib.sha256()
        while chunk := body.read(1 << 20):
            digest.update(chunk)
        return f"sha256:{digest.hexdigest()}"

    def translated(self, key: str) -> AbstractContextManager[None]:
        """Within it boto3's errors for `key` become the platform's."""
        return translated(f"{self.name}/{key}", self.identity)


@cache
def _session() -> Any:
    """One for the process: it keeps the description of the service, which takes long to read, and no credentials that are given."""
    return boto3.session.Session()


@contextmanager
def translated(what: str, identity: str) -> Iterator[None]:
    """boto3's errors as the platform's; `what` is bucket and key, `identity` what the request was signed with."""
    try:
        yield
    except ClientError as error:
        raise _translate(error, what, identity) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise AuthenticationError(
            "the worker has no identity for S3 of its own: give `credentials`, a secret reference"
        ) from error
    except BotoCoreError as error:
        raise TransientError(f"s3://{what} can't be reached: {type(error).__name__}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _translate(error: ClientError, what: str, identity: str) -> Exception:
    code = _code(error)
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    if code in CHANGED:
        return ChangedError(what)
    if code in REFUSED:
        return AuthenticationError(
            f"S3 refused {identity} for s3://{what} ({code}): it needs GetObject, PutObject and ListBucket there"
        )
    if code == "NoSuchBucket":
        return ConfigurationError(f"bucket of s3://{what} does not exist: create it first")
    if code in TRANSIENT or status in TRANSIENT:
        return TransientError(f"S3 answered {code} for s3://{what}")
    return PlatformError(f"S3 refused s3://{what}: {code}", code=ErrorCode.PUBLISH_FAILED)


def _digest_in(head: Mapping[str, Any]) -> str | None:
    try:
        checksum = base64.b64decode(str(head.get("ChecksumSHA256", "")), validate=True)
    except ValueError:  # of a multipart upload: "<of all parts>-<number>"
        checksum = b""
    if len(checksum) == SHA256_LENGTH:
        return f"sha256:{checksum.hex()}"
    stored = str(head.get("Metadata", {}).get(DIGEST_METADATA, ""))
    return stored if stored.startswith("sha256:") else None
