"""Descriptors, image manifests and image indexes (OCI image specification 1.1)."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .canonical import MAX_DOCUMENT_BYTES, decode_object, encode_json
from .digests import digest_bytes, validate_digest
from .errors import FormatError, Reason

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY_CONFIG = b"{}"
CREATED_ANNOTATION = "org.opencontainers.image.created"
LAYER_TYPE_ANNOTATION = "org.catalyst-forge.layer.type"
MAX_LAYERS = 256
MAX_INDEX_ENTRIES = 10_000
MAX_BLOB_BYTES = 1 << 50


class Descriptor(NamedTuple):
    """What points to content: media type, digest, size, and what an index says about it."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = {}
    artifact_type: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the descriptor as the JSON object of the image specification."""
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type is not None:
            value["artifactType"] = self.artifact_type
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value


class Manifest(NamedTuple):
    """An image manifest. `encode` gives its only representation; the digest is that of these bytes."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = {}
    media_type: str = MANIFEST_TYPE

    def encode(self) -> bytes:
        """Return the manifest's bytes; equal manifests give equal bytes."""
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        if self.artifact_type is not None:
            value["artifactType"] = self.artifact_type
        if self.subject is not None:
            value["subject"] = self.subject.to_json()
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return encode_json(value)

    @property
    def effective_artifact_type(self) -> str:
        """The artifact type, or the config's media type, which the specification falls back to."""
        return self.artifact_type or self.config.media_type


EMPTY_DESCRIPTOR = Descriptor(EMPTY_TYPE, digest_bytes(EMPTY_CONFIG), len(EMPTY_CONFIG))


def parse_manifest(content: bytes) -> Manifest:
    """Parse an image manifest (OCI, or Docker's schema 2).

    Raises `FormatError`: `too_large`, `malformed`, `wrong_media_type` or `invalid_digest`.
    """
    value = decode_object(content, "the manifest")
    media_type = value.get("mediaType", MANIFEST_TYPE)
    if media_type not in (MANIFEST_TYPE, DOCKER_MANIFEST_TYPE):
        raise FormatError(Reason.WRONG_MEDIA_TYPE, f"{media_type!r:.200} is not the media type of an image manifest")
    if value.get("schemaVersion") != 2:  # noqa: PLR2004
        raise FormatError(Reason.MALFORMED, "the manifest's schemaVersion is not 2")
    subject = value.get("subject")
    return Manifest(
        config=parse_descriptor(value.get("config")),
        layers=tuple(map(parse_descriptor, _bounded_list(value.get("layers"), MAX_LAYERS, "layers"))),
        artifact_type=_optional_text(value.get("artifactType"), "artifactType"),
        subject=None if subject is None else parse_descriptor(subject),
        annotations=_annotations(value.get("annotations")),
        media_type=media_type,
    )


def parse_index(content: bytes, *, limit: int = MAX_DOCUMENT_BYTES) -> list[Descriptor]:
    """Parse an image index and return its entries; raises `FormatError` as `parse_manifest` does."""
    value = decode_object(content, "the index", limit=limit)
    media_type = value.get("mediaType", INDEX_TYPE)
    if media_type != INDEX_TYPE:
        raise FormatError(Reason.WRONG_MEDIA_TYPE, f"{media_type!r:.200} is not the media type of an image index")
    return [parse_descriptor(entry) for entry in _bounded_list(value.get("manifests"), MAX_INDEX_ENTRIES, "manifests")]


def encode_index(entries: Iterable[Descriptor]) -> bytes:
    """Return the bytes of an image index with these entries, in the order given."""
    manifests = [entry.to_json() for entry in entries]
    return encode_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests})


def parse_descriptor(value: object) -> Descriptor:
    """Check one descriptor of a parsed document; raises `FormatError`."""
    if not isinstance(value, dict):
        raise FormatError(Reason.MALFORMED, "a descriptor is not a JSON object")
    media_type, size = value.get("mediaType"), value.get("size")
    if not isinstance(media_type, str) or not media_type:
        raise FormatError(Reason.MALFORMED, "a descriptor has no media type")
    if type(size) is not int or not 0 <= size <= MAX_BLOB_BYTES:
        raise FormatError(Reason.MALFORMED, "a descriptor's size is not a number of bytes")
    return Descriptor(
        media_type,
        validate_digest(value.get("digest")),
        size,
        _annotations(value.get("annotations")),
        _optional_text(value.get("artifactType"), "artifactType"),
    )


def _annotations(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise FormatError(Reason.MALFORMED, "annotations are not a map of strings")
    return value


def _bounded_list(value: object, limit: int, what: str) -> list[object]:
    if not isinstance(value, list):
        raise FormatError(Reason.MALFORMED, f"{what} is not a list")
    if len(value) > limit:
        raise FormatError(Reason.TOO_LARGE, f"{what} has {len(value)} entries; at most {limit} are accepted")
    return value


def _optional_text(value: object, what: str) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise FormatError(Reason.MALFORMED, f"{what} is not a string")
