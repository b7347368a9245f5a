"""An image in memory: the manifest's exact bytes, and its blobs in memory or in files."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Union

from .digests import blob_size, digest_blob, digest_bytes
from .errors import FormatError, Reason
from .manifest import Descriptor, Manifest, parse_manifest

if TYPE_CHECKING:
    from pathlib import Path

# `|` would need pathlib, which takes the Argo CD plugin long to import.
Blob = Union[bytes, "Path"]


class Image(NamedTuple):
    """A manifest and the blobs that it names, by digest.

    Equal input gives equal bytes, so two images with one `digest` are the same image.
    """

    manifest_bytes: bytes
    blobs: Mapping[str, Blob]

    @property
    def digest(self) -> str:
        """The digest of the manifest, which identifies the image."""
        return digest_bytes(self.manifest_bytes)

    @property
    def manifest(self) -> Manifest:
        """The parsed manifest; raises `FormatError` if it isn't one."""
        return parse_manifest(self.manifest_bytes)

    @property
    def descriptor(self) -> Descriptor:
        """A descriptor of the manifest, as a referrer's subject has it."""
        return Descriptor(self.manifest.media_type, self.digest, len(self.manifest_bytes))

    def read(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """Return a blob's bytes, verified against its descriptor.

        Raises `FormatError`: `too_large` above `limit` bytes (nothing is read then), `blob_missing`,
        `size_mismatch` or `digest_mismatch`.
        """
        if descriptor.size > limit:
            raise FormatError(
                Reason.TOO_LARGE,
                f"blob {descriptor.digest} ({descriptor.media_type}) has {descriptor.size} bytes; at most {limit} are accepted",
            )
        blob = self._blob(descriptor)
        content = blob if isinstance(blob, bytes) else blob.read_bytes()
        if digest_bytes(content) != descriptor.digest:
            raise _mismatch(descriptor.digest)
        return content

    def verify(self) -> None:
        """Check that every blob is there with its size and digest; raises `FormatError` as `read` does."""
        manifest = self.manifest
        for descriptor in (manifest.config, *manifest.layers):
            if digest_blob(self._blob(descriptor)) != descriptor.digest:
                raise _mismatch(descriptor.digest)

    def _blob(self, descriptor: Descriptor) -> Blob:
        blob = self.blobs.get(descriptor.digest)
        if blob is None:
            raise FormatError(Reason.BLOB_MISSING, f"blob {descriptor.digest} ({descriptor.media_type}) is missing")
        size = blob_size(blob)
        if size != descriptor.size:
            raise FormatError(
                Reason.SIZE_MISMATCH,
                f"blob {descriptor.digest} has {size} bytes, its descriptor says {descriptor.size}",
            )
        return blob


def verify_manifest_digest(content: bytes, digest: str) -> None:
    """Check a manifest's bytes against the digest they were asked for; raises `FormatError` (`digest_mismatch`)."""
    if digest_bytes(content) != digest:
        raise _mismatch(digest)


def _mismatch(digest: str) -> FormatError:
    return FormatError(
        Reason.DIGEST_MISMATCH, f"the content of {digest} has another digest: it was damaged or tampered with"
    )
