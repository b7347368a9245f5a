"""Release images: a project's rendered resources and the facts that determine them.

Readable by our Argo CD plugin, by Argo CD's native OCI source and by Flux: exactly one layer of a standard type.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .archive import write_archive
from .canonical import MAX_DOCUMENT_BYTES, decode_object, encode_json
from .digests import digest_bytes
from .errors import FormatError, Reason
from .image import Image
from .manifest import LAYER_TYPE_ANNOTATION, Descriptor, Manifest
from .unpack import DEFAULT_LIMITS, Limits, read_archive

ARTIFACT_TYPE = "application/vnd.forge.release.v1"
METADATA_TYPE = "application/vnd.forge.release.metadata.v1+json"
RESOURCES_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
RESOURCES_LAYER = "resources"


class Release(NamedTuple):
    """What a release image holds: its metadata, and the rendered files, path to content."""

    metadata: Mapping[str, Any]
    files: Mapping[str, bytes]


def pack_release(metadata: Mapping[str, Any], files: Mapping[str, bytes]) -> Image:
    """Return the release image; equal input gives equal bytes.

    `metadata` must hold only what the commit, the configuration and the artifacts determine; to its `resources` (the
    summary, if any) the digest of the resources layer is added. `files` are the rendered files. Raises `ArchiveError`
    for paths that a reader would refuse.
    """
    archive = write_archive(files)
    layer = Descriptor(RESOURCES_TYPE, digest_bytes(archive), len(archive), {LAYER_TYPE_ANNOTATION: RESOURCES_LAYER})
    resources = {**metadata.get("resources", {}), "digest": layer.digest}
    config_bytes = encode_json({**metadata, "resources": resources})
    config = Descriptor(METADATA_TYPE, digest_bytes(config_bytes), len(config_bytes))
    manifest = Manifest(config, (layer,), ARTIFACT_TYPE)
    return Image(manifest.encode(), {config.digest: config_bytes, layer.digest: archive})


def unpack_release(image: Image, limits: Limits = DEFAULT_LIMITS) -> Release:
    """Read a release image, refusing anything that isn't one.

    Raises `FormatError` (`wrong_artifact_type`, `wrong_media_type`, `wrong_layers`, `wrong_metadata`, or a blob that
    isn't what the manifest says) or `ArchiveError` (a damaged or hostile resources layer).
    """
    manifest = image.manifest
    layer = check_release_manifest(manifest)
    metadata = decode_object(image.read(manifest.config, limit=MAX_DOCUMENT_BYTES), "the release's metadata")
    resources = metadata.get("resources")
    if not isinstance(resources, dict) or resources.get("digest") != layer.digest:
        raise FormatError(Reason.WRONG_METADATA, "the release's metadata names another resources layer")
    return Release(metadata, read_archive(image.read(layer, limit=limits.compressed_bytes), limits))


def check_release_manifest(manifest: Manifest) -> Descriptor:
    """Check that a manifest is a release image's and return its resources layer.

    Lets a client refuse an image before it downloads anything of it. Raises `FormatError` as `unpack_release` does.
    """
    if manifest.artifact_type != ARTIFACT_TYPE:
        raise FormatError(
            Reason.WRONG_ARTIFACT_TYPE, f"the image is not a release image: {manifest.artifact_type!r:.200}"
        )
    if manifest.config.media_type != METADATA_TYPE:
        raise FormatError(Reason.WRONG_MEDIA_TYPE, f"the release's metadata is {manifest.config.media_type[:200]!r}")
    if len(manifest.layers) != 1:
        raise FormatError(Reason.WRONG_LAYERS, f"a release image has exactly one layer, not {len(manifest.layers)}")
    layer = manifest.layers[0]
    if layer.media_type != RESOURCES_TYPE:
        raise FormatError(Reason.WRONG_MEDIA_TYPE, f"the release's resources layer is {layer.media_type[:200]!r}")
    if layer.annotations.get(LAYER_TYPE_ANNOTATION) != RESOURCES_LAYER:
        raise FormatError(Reason.WRONG_LAYERS, "the release's layer is not annotated as its resources")
    return layer
