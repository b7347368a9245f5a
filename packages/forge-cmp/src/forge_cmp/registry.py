"""Reading images of one registry: manifests, blobs and referrers, each verified against digest and size."""

from collections.abc import Sequence
from urllib.parse import quote, urljoin, urlsplit

from forge_oci.core.bundle import (
    BUNDLE_TYPE,
    MAX_BUNDLE_BYTES,
    PREDICATE_ANNOTATION,
    unpack_bundle,
    verify_any,
    verify_bundle,
)
from forge_oci.core.canonical import MAX_DOCUMENT_BYTES
from forge_oci.core.digests import digest_bytes
from forge_oci.core.errors import FormatError, OciError, Reason, VerificationError
from forge_oci.core.image import Image, verify_manifest_digest
from forge_oci.core.keys import PublicKey
from forge_oci.core.manifest import INDEX_TYPE, MANIFEST_TYPE, Descriptor, parse_index
from forge_oci.core.names import referrers_tag
from forge_oci.core.statement import Statement

from .errors import CmpError
from .transport import Response, Transport

MAX_BUNDLES = 32
MAX_PAGES = 10
_NOT_FOUND = 404


class Attestations:
    """The bundles about one image, each downloaded at most once.

    Anybody who may push can add a damaged referrer: it must not hide a good one.
    """

    def __init__(self, reader: "RegistryReader", digest: str, entries: list[Descriptor]) -> None:
        self._reader, self._digest, self._entries = reader, digest, entries
        self._read: dict[str, bytes] = {}

    def verify(self, keys: Sequence[PublicKey], predicate_type: str) -> Statement:
        """The statement of the first bundle that holds, those that claim the predicate's type first.

        Raises `VerificationError` of the one that came closest.
        """
        found: dict[bool, list[bytes]] = {True: [], False: []}
        for entry in sorted(self._entries, key=lambda entry: _claims(entry) != predicate_type)[:MAX_BUNDLES]:
            bundle = self._bundle(entry)
            found[_claims(entry) == predicate_type].append(bundle)
            try:
                return verify_bundle(bundle, keys, predicate_type=predicate_type, digest=self._digest)
            except VerificationError:
                continue
        # What says that it is another kind of statement explains nothing where there is one that says it is this kind.
        return verify_any(found[True] or found[False], keys, predicate_type=predicate_type, digest=self._digest)

    def _bundle(self, entry: Descriptor) -> bytes:
        if entry.digest not in self._read:
            self._read[entry.digest] = self._reader.bundle(entry, self._digest)
        return self._read[entry.digest]


def _claims(entry: Descriptor) -> str:
    return entry.annotations.get(PREDICATE_ANNOTATION, "")


class RegistryReader:
    """Reads from `repository`. Raises `CmpError` of `Transport.get`, `image_missing`, and `OciError` of what it reads."""

    def __init__(self, transport: Transport, repository: str) -> None:
        self._transport, self._repository = transport, repository

    def manifest(self, digest: str) -> Image:
        """The manifest of an image: an `Image` without blobs."""
        response = self._get(f"manifests/{digest}", MANIFEST_TYPE, MAX_DOCUMENT_BYTES)
        if response.status == _NOT_FOUND:
            raise CmpError(
                "image_missing",
                f"the registry has no image {digest}: it was deleted, or this environment reads another registry",
                details=(f"repository: {self._repository}",),
            )
        verify_manifest_digest(response.body, digest)
        return Image(response.body, {})

    def blob(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """A blob, refused before anything is downloaded where it is larger than `limit`."""
        if descriptor.size > limit:
            text = f"blob {descriptor.digest} has {descriptor.size} bytes; at most {limit} are accepted"
            raise FormatError(Reason.TOO_LARGE, text)
        response = self._get(f"blobs/{descriptor.digest}", "*/*", descriptor.size)
        if response.status == _NOT_FOUND:
            raise FormatError(Reason.BLOB_MISSING, f"blob {descriptor.digest} ({descriptor.media_type}) is missing")
        if len(response.body) != descriptor.size:
            raise FormatError(Reason.SIZE_MISMATCH, f"blob {descriptor.digest} has {len(response.body)} bytes")
        if digest_bytes(response.body) != descriptor.digest:
            raise FormatError(Reason.DIGEST_MISMATCH, f"the content of blob {descriptor.digest} has another digest")
        return response.body

    def attestations(self, digest: str) -> "Attestations":
        """The Sigstore bundles about the image `digest`."""
        entries = [entry for entry in self._referrers(digest) if entry.artifact_type == BUNDLE_TYPE]
        return Attestations(self, digest, entries)

    def bundle(self, entry: Descriptor, digest: str) -> bytes:
        """One bundle about `digest`; empty bytes for one that can't be read."""
        try:
            return unpack_bundle(self._bundle_image(entry.digest), digest)
        except OciError:
            return b""

    def _bundle_image(self, digest: str) -> Image:
        response = self._get(f"manifests/{digest}", MANIFEST_TYPE, MAX_DOCUMENT_BYTES)
        if response.status == _NOT_FOUND:
            raise FormatError(Reason.BLOB_MISSING, f"the referrer {digest} is missing")
        verify_manifest_digest(response.body, digest)
        layers = Image(response.body, {}).manifest.layers
        return Image(response.body, {layer.digest: self.blob(layer, limit=MAX_BUNDLE_BYTES) for layer in layers[:1]})

    def _referrers(self, digest: str) -> list[Descriptor]:
        path = f"referrers/{digest}?artifactType={quote(BUNDLE_TYPE, safe='')}"
        found: list[Descriptor] = []
        for page in range(MAX_PAGES):
            response = self._get(path, INDEX_TYPE, MAX_DOCUMENT_BYTES)
            if response.status == _NOT_FOUND:
                return found if page else self._fallback(digest)
            found += parse_index(response.body)
            following = self._next_page(response, path)
            if following is None:
                break
            path = following
        return found

    def _next_page(self, response: Response, path: str) -> str | None:
        link = response.headers.get("Link", "")
        if 'rel="next"' not in link or not link.startswith("<"):
            return None
        prefix = f"/v2/{self._repository}/"
        target = urlsplit(urljoin(prefix + path, link[1 : link.index(">")] if ">" in link else ""))
        if not target.path.startswith(prefix):
            raise CmpError("registry_protocol", "the registry names a next page in another repository")
        return f"{target.path.removeprefix(prefix)}?{target.query}"

    def _fallback(self, digest: str) -> list[Descriptor]:
        response = self._get(f"manifests/{referrers_tag(digest)}", INDEX_TYPE, MAX_DOCUMENT_BYTES)
        return [] if response.status == _NOT_FOUND else parse_index(response.body)

    def _get(self, path: str, accept: str, limit: int) -> Response:
        return self._transport.get(f"/v2/{self._repository}/{path}", accept=accept, limit=limit)
