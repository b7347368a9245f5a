"""An asynchronous client of one OCI registry (distribution specification 1.1)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from forge_oci.core.canonical import decode_object
from forge_oci.core.digests import hex_part
from forge_oci.core.image import Blob, Image
from forge_oci.core.manifest import Descriptor
from forge_sdk.errors import ErrorCode, PlatformError

from . import transfers
from .credentials import COMPONENT
from .failures import registry_failed, translated
from .referrers import ReferrersSession
from .session import gather

DEFAULT_PULL_BYTES = 256 * 1024 * 1024


class RegistryClient(ReferrersSession):
    """Pushes, pulls and lists images of one registry; verified, retried, streamed.

    `host` is `name[:port]`. `credentials` are fixed ones or a function of the host that is asked at each challenge;
    None takes docker's configuration and its credential helpers. `timeout` bounds each wait on the network, in
    seconds. `plain_http` is refused for other machines unless `allow_remote_plain_http`. `retry` is applied to each
    request that fails in a transient way.

    All methods raise `PlatformError`: `AuthenticationError` for 401 and 403, `TransientError` after the last retry of
    429, 5xx and network failures, code `not_found` for 404, else `registry_failed`. Use it as an asynchronous context
    manager, or call `aclose`.
    """

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._transport.close)

    async def push(self, image: Image, repository: str, tags: Sequence[str] = (), *, immutable: bool = False) -> str:
        """Push an image and return its digest: missing blobs in parallel, then the manifest, under each of `tags`.

        Without tags it can be pulled by digest. With `immutable`, a tag that names another image already is an
        `AlreadyExists` error before anything is written; one that names this image is left alone.
        """
        self._check_names(repository, tags)
        pending = await self._unwritten_tags(image, repository, tags) if immutable else list(tags)
        if immutable and tags and not pending:
            return image.digest
        await self._push_blobs(image, repository)
        for reference in pending or [image.digest]:
            await self._put_tag(image, repository, reference)
        return image.digest

    async def tag(self, image: Image, repository: str, tag: str) -> None:
        """Give an image that the repository holds an immutable tag; `AlreadyExists` where it names another image."""
        self._check_names(repository, [tag])
        if await self._unwritten_tags(image, repository, [tag]):
            await self._put_tag(image, repository, tag)

    async def pull(
        self,
        repository: str,
        reference: str,
        *,
        directory: Path | None = None,
        max_bytes: int = DEFAULT_PULL_BYTES,
    ) -> Image:
        """Pull an image by tag or digest; manifest and blobs are verified against their digests and sizes.

        Blobs are kept in memory, or with `directory` in files there (named by their hexadecimal digest). Images whose
        blobs have more than `max_bytes` in total are refused before anything is downloaded.
        """
        image = await self.pull_manifest(repository, reference)
        with translated(self.host):
            manifest = image.manifest
        descriptors = {entry.digest: entry for entry in (manifest.config, *manifest.layers)}
        total = sum(entry.size for entry in descriptors.values())
        if total > max_bytes:
            raise registry_failed(f"the image {image.digest} has {total} bytes; at most {max_bytes} are accepted")
        blobs = await gather(self._pull_blob(repository, entry, directory) for entry in descriptors.values())
        return Image(image.manifest_bytes, dict(zip(descriptors, blobs, strict=True)))

    async def pull_manifest(self, repository: str, reference: str) -> Image:
        """Pull an image's manifest only: an `Image` without blobs."""
        self._check_reference(repository, reference)
        content = await self._call(transfers.fetch_manifest, repository, reference)
        if content is None:
            raise PlatformError(
                f"registry {self.host} has no image {reference} in {repository}: check the name, or push it first",
                code=ErrorCode.NOT_FOUND,
                component=COMPONENT,
            )
        return Image(content, {})

    async def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository, sorted; empty where there is no such repository."""
        self._check_names(repository)
        pages = await self._call(transfers.get_pages, f"/v2/{repository}/tags/list?n=1000", "application/json")
        found: set[str] = set()
        for page in pages or []:
            with translated(self.host):
                tags = decode_object(page, "the list of tags").get("tags") or []
            found.update(tag for tag in tags if isinstance(tag, str))
        return sorted(found)

    async def _unwritten_tags(self, image: Image, repository: str, tags: Sequence[str]) -> list[str]:
        existing = await gather(self.resolve(repository, tag) for tag in tags)
        for tag, digest in zip(tags, existing, strict=True):
            self._check_same(image, repository, tag, digest)
        return [tag for tag, digest in zip(tags, existing, strict=True) if digest is None]

    async def _pull_blob(self, repository: str, descriptor: Descriptor, directory: Path | None) -> Blob:
        if directory is None:
            async with self._parallel:
                return await self._call(transfers.download_blob, repository, descriptor)
        path = directory / hex_part(descriptor.digest)
        await self._transfer(transfers.download_blob_to, repository, descriptor, path)
        return path
