"""Tracking images: the sealed facts of one artifact (metadata, SBOMs, provenance)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .canonical import MAX_DOCUMENT_BYTES, decode_object, encode_json
from .digests import blob_size, digest_blob, validate_digest
from .errors import FormatError, Reason
from .image import Blob, Image
from .manifest import EMPTY_CONFIG, EMPTY_DESCRIPTOR, LAYER_TYPE_ANNOTATION, Descriptor, Manifest
from .statement import PROVENANCE_PREDICATE, STATEMENT_MEDIA_TYPE, check_statement, parse_statement

ARTIFACT_TYPE = "application/vnd.forge.artifact.v1"
METADATA_TYPE = "application/vnd.forge.artifact.metadata.v1+json"
SYFT_TYPE = "application/vnd.syft+json"
SPDX_TYPE = "application/spdx+json"
LAYER_TYPES = {
    METADATA_TYPE: "metadata",
    SYFT_TYPE: "sbom-syft",
    SPDX_TYPE: "sbom-spdx",
    STATEMENT_MEDIA_TYPE: "provenance",
}
_REQUIRED = ("artifact", "source", "build")


class Tracking(NamedTuple):
    """What a tracking image holds. SBOM descriptors are None where the artifact has none; `Image.read` reads them."""

    metadata: Mapping[str, Any]
    provenance: bytes
    spdx: Descriptor | None
    syft: Descriptor | None

    @property
    def artifact_digest(self) -> str:
        """The digest of the artifact that the image is about."""
        return validate_digest(self.metadata["artifact"]["digest"])


def pack_tracking(
    metadata: Mapping[str, Any], provenance: bytes, *, spdx: Blob | None = None, syft: Blob | None = None
) -> Image:
    """Return the tracking image of an artifact; equal input gives equal bytes.

    `metadata` has `artifact` (with its `digest`), `source` and `build`; `provenance` is the statement of
    `provenance_statement`, about that digest; the SBOMs may be files. Raises `FormatError` (`wrong_metadata`) or
    `VerificationError` where they contradict each other.
    """
    _check(metadata, provenance)
    contents: list[tuple[str, Blob | None]] = [
        (METADATA_TYPE, encode_json(metadata)),
        (SYFT_TYPE, syft),
        (SPDX_TYPE, spdx),
        (STATEMENT_MEDIA_TYPE, provenance),
    ]
    layers, blobs = [], dict[str, Blob]({EMPTY_DESCRIPTOR.digest: EMPTY_CONFIG})
    for media_type, blob in contents:
        if blob is None:
            continue
        annotations = {LAYER_TYPE_ANNOTATION: LAYER_TYPES[media_type]}
        layer = Descriptor(media_type, digest_blob(blob), blob_size(blob), annotations)
        layers.append(layer)
        blobs[layer.digest] = blob
    return Image(Manifest(EMPTY_DESCRIPTOR, tuple(layers), ARTIFACT_TYPE).encode(), blobs)


def unpack_tracking(image: Image) -> Tracking:
    """Read a tracking image.

    Raises `FormatError` (`wrong_artifact_type`, `wrong_layers`, `wrong_metadata`, or a blob that isn't what the
    manifest says) or `VerificationError` (the provenance isn't one, or is about another artifact).
    """
    manifest = image.manifest
    if manifest.artifact_type != ARTIFACT_TYPE:
        raise FormatError(
            Reason.WRONG_ARTIFACT_TYPE, f"the image is not a tracking image: {manifest.artifact_type!r:.200}"
        )
    layers = _layers(manifest)
    metadata = decode_object(image.read(layers[METADATA_TYPE], limit=MAX_DOCUMENT_BYTES), "the artifact's metadata")
    provenance = image.read(layers[STATEMENT_MEDIA_TYPE], limit=MAX_DOCUMENT_BYTES)
    _check(metadata, provenance)
    return Tracking(metadata, provenance, layers.get(SPDX_TYPE), layers.get(SYFT_TYPE))


def _layers(manifest: Manifest) -> dict[str, Descriptor]:
    layers: dict[str, Descriptor] = {}
    for layer in manifest.layers:
        kind = LAYER_TYPES.get(layer.media_type)
        if kind is None or layer.annotations.get(LAYER_TYPE_ANNOTATION) != kind or layer.media_type in layers:
            raise FormatError(Reason.WRONG_LAYERS, f"unexpected layer {layer.media_type[:200]!r} in a tracking image")
        layers[layer.media_type] = layer
    if METADATA_TYPE not in layers or STATEMENT_MEDIA_TYPE not in layers:
        raise FormatError(Reason.WRONG_LAYERS, "the tracking image lacks its metadata or provenance layer")
    return layers


def _check(metadata: Mapping[str, Any], provenance: bytes) -> None:
    if not all(isinstance(metadata.get(key), dict) for key in _REQUIRED):
        raise FormatError(Reason.WRONG_METADATA, f"the artifact's metadata needs {', '.join(_REQUIRED)}")
    digest = validate_digest(metadata["artifact"].get("digest"))
    check_statement(parse_statement(provenance), predicate_type=PROVENANCE_PREDICATE, digest=digest)
