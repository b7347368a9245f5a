"""Referrers of an image: through the registry's API, else through the fallback tag."""

import asyncio
from collections.abc import Awaitable
from urllib.parse import quote

from forge_oci.core.image import Image
from forge_oci.core.manifest import INDEX_TYPE, Descriptor, encode_index, parse_index
from forge_oci.core.names import referrers_tag
from forge_sdk.errors import ErrorCode, TransientError

from . import transfers
from .credentials import COMPONENT
from .failures import registry_failed, translated
from .session import RegistrySession

_WRITE_ATTEMPTS = 5


class ReferrersSession(RegistrySession):
    """The part of `RegistryClient` that deals with referrers."""

    _knows_no_referrers = False
    """The registry answered 404 where one with the referrers API never does; asked again once it registers a subject."""

    async def referrers(self, repository: str, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """Return descriptors of what refers to the image `digest`, only those of `artifact_type` where given.

        Asks the referrers API, and where the registry has none, the fallback tag.
        """
        self._check_reference(repository, digest)
        if self._knows_no_referrers:
            pages = None
        else:
            pages = await self._pages(repository, digest, artifact_type)
            self._knows_no_referrers = pages is None
        if pages is None:
            found = await self._read_fallback(repository, digest)
        else:
            with translated(self.host):
                found = [entry for page in pages for entry in parse_index(page)]
        return [entry for entry in found if artifact_type is None or entry.artifact_type == artifact_type]

    async def _pages(self, repository: str, digest: str, artifact_type: str | None) -> list[bytes] | None:
        query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
        return await self._call(transfers.get_pages, f"/v2/{repository}/referrers/{digest}{query}", INDEX_TYPE)

    async def attach(self, image: Image, repository: str, *, after: Awaitable[object] | None = None) -> Descriptor:
        """Push an image that has a subject, so that `referrers` of the subject lists it, and return its descriptor.

        `after` is awaited before the manifest is written: the push of the subject, where that goes on meanwhile.

        Where the registry doesn't register subjects, the fallback tag is rewritten. Writers of one subject in this
        client wait for each other; those of different processes must hold a lease, else the tag may lose one of them.
        """
        with translated(self.host):
            manifest = image.manifest
        if manifest.subject is None:
            raise registry_failed("the image has no subject, so it cannot be attached to one")
        await self._push_blobs(image, repository)
        if after is not None:
            await after
        entry = image.descriptor._replace(
            annotations=manifest.annotations, artifact_type=manifest.effective_artifact_type
        )
        subject = manifest.subject.digest
        lock = self._subject_locks.setdefault((repository, subject), asyncio.Lock())
        async with lock:
            if await self._put_tag(image, repository, image.digest):
                self._knows_no_referrers = False
            else:
                await self._write_fallback(repository, subject, entry)
        return entry

    async def _write_fallback(self, repository: str, subject: str, entry: Descriptor) -> None:
        tag = referrers_tag(subject)
        for _ in range(_WRITE_ATTEMPTS):
            entries = await self._read_fallback(repository, subject)
            if any(existing.digest == entry.digest for existing in entries):
                return
            await self._call(transfers.put_manifest, repository, tag, encode_index([*entries, entry]), INDEX_TYPE)
        raise TransientError(
            f"another writer keeps changing the referrers of {subject}: try again",
            code=ErrorCode.CONFLICT,
            component=COMPONENT,
        )

    async def _read_fallback(self, repository: str, subject: str) -> list[Descriptor]:
        content = await self._call(transfers.fetch_manifest, repository, referrers_tag(subject))
        with translated(self.host):
            return [] if content is None else parse_index(content)
