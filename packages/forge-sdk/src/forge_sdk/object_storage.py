"""Object storage: the port, and its adapter for S3 and what speaks like it (extra `storage`)."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from forge_sdk.configuration import Storage, read_secret_file
from forge_sdk.errors import AuthenticationError, ErrorCode, PlatformError, TransientError

Result = TypeVar("Result")
CHUNK = 1 << 20
MAX_DELETED = 1000
"""Keys that S3 deletes in one request."""
LARGEST_REQUEST = 32 * 2**20
"""Bytes of a file that is sent in one request; larger ones are sent in parts, some at a time."""
PARALLEL_PARTS = 4
NOT_FOUND = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}
NOT_NEW = {"412", "PreconditionFailed", "ConditionalRequestConflict", "NotImplemented"}
REFUSED = {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
TRANSIENT = {"500", "502", "503", "504", "429", "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout"}


class ObjectStore(Protocol):
    """Objects by key in one bucket. Errors are `PlatformError`: `not_found`, `permission_denied`, `storage_failed`, or transient."""

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Store `data` under `key`, replacing what was there; `metadata` has lower-case names."""

    async def put_new(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """As `put`, where there is nothing under `key`; `False` where there is something, or the store can't tell."""

    async def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Store a file, a large one in parts, without holding more than `CHUNK` bytes of it in memory."""

    async def metadata(self, key: str) -> Mapping[str, str]:
        """What was stored beside the object; `not_found` where there is no object."""

    async def get(self, key: str, *, limit: int) -> bytes:
        """The object; an error where it is larger than `limit` bytes."""

    async def get_file(self, key: str, path: Path) -> None:
        """Write the object to `path`."""

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """The object in chunks."""

    async def list(self, prefix: str) -> list[str]:
        """All keys that start with `prefix`, sorted."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are not an error."""

    async def presigned_url(self, key: str, *, expires_s: int = 300) -> str:
        """A URL under which anybody may read the object for a while."""


class S3ObjectStore:
    """An S3-compatible store through boto3, whose blocking calls run in threads."""

    def __init__(self, configuration: Storage) -> None:
        self._configuration = configuration

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        arguments = {"ContentType": content_type, "Metadata": dict(metadata or {})}
        await self._call(key, lambda client: client.put_object(Bucket=self._bucket, Key=key, Body=data, **arguments))

    async def put_new(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        arguments = {"ContentType": content_type, "Metadata": dict(metadata or {}), "IfNoneMatch": "*"}

        def put(client: Any) -> bool:
            try:
                client.put_object(Bucket=self._bucket, Key=key, Body=data, **arguments)
            except client.exceptions.ClientError as error:
                if _code(error) not in NOT_NEW:
                    raise
                return False
            return True

        return await self._call(key, put)

    async def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        arguments = {"ContentType": content_type, "Metadata": dict(metadata or {})}

        def upload(client: Any) -> None:
            # Servers that keep parts as files copy all of them at the end, and boto3's transfers start threads even for one
            # request: a small file is not worth it.
            if path.stat().st_size < LARGEST_REQUEST:
                with path.open("rb") as file:
                    client.put_object(Bucket=self._bucket, Key=key, Body=_body(file), **arguments)
                return
            from boto3.s3.transfer import TransferConfig

            transfer = TransferConfig(multipart_threshold=LARGEST_REQUEST, max_concurrency=PARALLEL_PARTS)
            client.upload_file(str(path), self._bucket, key, ExtraArgs=arguments, Config=transfer)

        await self._call(key, upload)

    async def metadata(self, key: str) -> Mapping[str, str]:
        found: dict[str, str] = await self._call(
            key, lambda client: client.head_object(Bucket=self._bucket, Key=key)["Metadata"]
        )
        # Some servers give the names back in other letters.
        return {name.lower(): value for name, value in found.items()}

    async def get(self, key: str, *, limit: int) -> bytes:
        data: bytes = await self._call(
            key, lambda client: client.get_object(Bucket=self._bucket, Key=key)["Body"].read(limit + 1)
        )
        if len(data) > limit:
            raise PlatformError(
                f"object {key} is larger than {limit} bytes", code=ErrorCode.STORAGE_FAILED, component="storage"
            )
        return data

    async def get_file(self, key: str, path: Path) -> None:
        await self._call(key, lambda client: client.download_file(self._bucket, key, str(path)))

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        body = await self._call(key, lambda client: client.get_object(Bucket=self._bucket, Key=key)["Body"])
        try:
            while chunk := await self._call(key, lambda _: body.read(CHUNK)):
                yield chunk
        finally:
            body.close()

    async def list(self, prefix: str) -> list[str]:
        def pages(client: Any) -> list[str]:
            paginator = client.get_paginator("list_objects_v2")
            found = [
                item["Key"]
                for page in paginator.paginate(Bucket=self._bucket, Prefix=prefix)
                for item in page.get("Contents", [])
            ]
            return sorted(found)

        return await self._call(prefix, pages)

    async def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), MAX_DELETED):
            await self._delete(keys[start : start + MAX_DELETED])

    async def presigned_url(self, key: str, *, expires_s: int = 300) -> str:
        parameters = {"Bucket": self._bucket, "Key": key}
        url: str = await self._call(
            key, lambda client: client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_s)
        )
        return url

    async def ensure_bucket(self) -> None:
        """Create the bucket where it does not exist yet."""

        def create(client: Any) -> None:
            try:
                client.head_bucket(Bucket=self._bucket)
            except client.exceptions.ClientError as error:
                if _code(error) not in NOT_FOUND:
                    raise
                client.create_bucket(Bucket=self._bucket)

        await self._call(self._bucket, create)

    async def _delete(self, keys: Sequence[str]) -> None:
        objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        await self._call(keys[0], lambda client: client.delete_objects(Bucket=self._bucket, Delete=objects))

    @property
    def _bucket(self) -> str:
        return self._configuration.bucket

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        keys: dict[str, str] = {}
        if self._configuration.access_key_file and self._configuration.secret_key_file:
            keys["aws_access_key_id"] = read_secret_file(self._configuration.access_key_file).reveal()
            keys["aws_secret_access_key"] = read_secret_file(self._configuration.secret_key_file).reveal()
        # Without signature version 4 presigned URLs are of an old kind that today's servers refuse.
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"} if self._configuration.endpoint_url else {},
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 4},
            max_pool_connections=32,
        )
        session: Any = boto3.session.Session()
        return session.client(
            "s3",
            region_name=self._configuration.region,
            endpoint_url=self._configuration.endpoint_url,
            config=config,
            **keys,
        )

    async def _call(self, key: str, operation: Callable[[Any], Result]) -> Result:
        return await asyncio.to_thread(self._guarded, key, operation)

    def _guarded(self, key: str, operation: Callable[[Any], Result]) -> Result:
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return operation(self._client)
        except (ClientError, S3UploadFailedError) as error:
            raise _translate(key, error) from error
        except BotoCoreError as error:
            raise TransientError(f"object storage can't be reached: {error}", component="storage") from error


def _body(file: IO[bytes]) -> bytes | IO[bytes]:
    """What to send of an open file: before a file, boto3 asks the server to go on and waits, which a small one isn't worth."""
    if os.fstat(file.fileno()).st_size <= CHUNK:
        return file.read()
    return file


def _code(error: Exception) -> str:
    response = getattr(error, "response", None) or getattr(error.__context__, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def _translate(key: str, error: Exception) -> PlatformError:
    code = _code(error)
    if code in NOT_FOUND:
        return PlatformError(f"object {key} does not exist", code=ErrorCode.NOT_FOUND, component="storage")
    if code in REFUSED:
        return AuthenticationError(
            "object storage refused the access key: check the storage section of the configuration", component="storage"
        )
    if code in TRANSIENT:
        return TransientError(f"object storage answered {code} for {key}", component="storage")
    return PlatformError(
        f"object storage failed for {key}: {error}", code=ErrorCode.STORAGE_FAILED, component="storage"
    )
