"""What every operation of the client stands on: retried calls in threads, pushed blobs, written manifests."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from forge_oci.core.digests import hex_part
from forge_oci.core.image import Image
from forge_oci.core.names import validate_repository, validate_tag
from forge_sdk.errors import AlreadyExists, PlatformError
from forge_sdk.retry import DEFAULT_RETRY, RetryPolicy

from . import transfers
from .credentials import COMPONENT, Credentials, CredentialSource
from .failures import registry_failed, translated
from .transport import Transport, check_address

DEFAULT_TIMEOUT = 60.0
_PARALLEL = 4
_STOP_TIMEOUT = 5.0
Result = TypeVar("Result")


class RegistrySession:
    """The base of `RegistryClient`, which documents the parameters."""

    def __init__(
        self,
        host: str,
        *,
        plain_http: bool = False,
        allow_remote_plain_http: bool = False,
        credentials: Credentials | CredentialSource | None = None,
        ca_file: Path | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        check_address(host, plain_http=plain_http, allow_remote_plain_http=allow_remote_plain_http)
        self.host = host
        self._transport = Transport(
            host, plain_http=plain_http, source=_as_source(credentials), ca_file=ca_file, timeout=timeout
        )
        self._retry = retry
        self._parallel = asyncio.Semaphore(_PARALLEL)
        self._subject_locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def resolve(self, repository: str, tag: str) -> str | None:
        """Return the digest that `tag` names, None where there is no such tag or repository."""
        self._check_reference(repository, tag)
        return await self._call(transfers.resolve_digest, repository, tag)

    async def _push_blobs(self, image: Image, repository: str) -> None:
        with translated(self.host):
            manifest = image.manifest
        descriptors = {entry.digest: entry for entry in (manifest.config, *manifest.layers)}
        missing = [digest for digest in descriptors if digest not in image.blobs]
        if missing:
            raise registry_failed(f"the image {image.digest} lacks its blob {missing[0]}")
        await gather(
            self._transfer(transfers.upload_blob, repository, entry, image.blobs[entry.digest])
            for entry in descriptors.values()
        )

    def _check_same(self, image: Image, repository: str, tag: str, existing: str | None) -> None:
        if existing is not None and existing != image.digest:
            raise AlreadyExists(
                f"{self.host}/{repository}:{tag} names {existing} already, it cannot become {image.digest}",
                existing_digest=existing,
                digest=image.digest,
                component=COMPONENT,
            )

    async def _put_tag(self, image: Image, repository: str, reference: str) -> bool:
        media_type = image.manifest.media_type
        try:
            return await self._call(transfers.put_manifest, repository, reference, image.manifest_bytes, media_type)
        except PlatformError as error:
            # Registries with immutable tags refuse in their own ways; what the tag names tells.
            if error.transient or error.context.get("status") not in {400, 405, 409}:
                raise
            existing = await self.resolve(repository, reference)
            self._check_same(image, repository, reference, existing)
            if existing is None:
                raise
            return False

    async def _transfer(self, function: Callable[..., None], *arguments: object) -> None:
        """Run a transfer in a thread; a cancellation stops it and waits for its end, so that it leaves nothing behind."""

        async def attempt() -> None:
            stop = threading.Event()
            thread = asyncio.ensure_future(asyncio.to_thread(function, self._transport, *arguments, stop))
            try:
                await asyncio.shield(thread)
            except asyncio.CancelledError:
                stop.set()
                thread.add_done_callback(_forget)
                await asyncio.wait([thread], timeout=_STOP_TIMEOUT)
                raise

        async with self._parallel:
            await self._retry.call(attempt)

    async def _call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        async def attempt() -> Result:
            return await asyncio.to_thread(function, self._transport, *arguments)

        return await self._retry.call(attempt)

    def _check_reference(self, repository: str, reference: str) -> None:
        if reference.startswith("sha256:"):
            with translated(self.host):
                hex_part(reference)
            reference = "digest"
        self._check_names(repository, [reference])

    def _check_names(self, repository: str, tags: Iterable[str] = ()) -> None:
        with translated(self.host):
            validate_repository(repository)
            for tag in tags:
                validate_tag(tag)


async def gather(calls: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run calls together; the first failure cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
    return [task.result() for task in tasks]


def _as_source(credentials: Credentials | CredentialSource | None) -> CredentialSource | None:
    if isinstance(credentials, Credentials):
        return lambda _: credentials
    return credentials


def _forget(thread: asyncio.Future[None]) -> None:
    """Take the error of a stopped transfer, which nobody waits for."""
    if not thread.cancelled():
        thread.exception()
