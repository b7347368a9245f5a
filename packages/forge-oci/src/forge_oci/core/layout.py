"""OCI image layouts (image specification 1.1): a directory with `oci-layout`, `index.json` and `blobs/sha256/`."""

import json
import shutil
from pathlib import Path

from .canonical import MAX_DOCUMENT_BYTES, decode_object, encode_json
from .digests import hex_part
from .errors import FormatError, Reason
from .image import Blob, Image, verify_manifest_digest
from .manifest import Descriptor, encode_index, parse_index

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
NAME_ANNOTATION = "org.opencontainers.image.ref.name"
_LAYOUT_VERSION = "1.0.0"


def write_layout(image: Image, directory: Path, *, name: str | None = None) -> Descriptor:
    """Write an image as an OCI layout and return the descriptor of its manifest.

    `directory` is created where missing. `name` is recorded as the image's reference name. The image is verified
    first; raises `FormatError` if a blob is missing or isn't what the manifest says.
    """
    image.verify()
    for digest, blob in image.blobs.items():
        _write_blob(_blob_path(directory, digest), blob)
    _write_blob(_blob_path(directory, image.digest), image.manifest_bytes)
    annotations = {NAME_ANNOTATION: name} if name else {}
    descriptor = image.descriptor._replace(annotations=annotations)
    (directory / LAYOUT_FILE).write_bytes(encode_json({"imageLayoutVersion": _LAYOUT_VERSION}))
    (directory / INDEX_FILE).write_bytes(encode_index([descriptor]))
    return descriptor


def read_layout(directory: Path, *, name: str | None = None) -> Image:
    """Read the image of an OCI layout; its blobs stay in their files.

    With several images, `name` selects one by its reference name. Everything is verified: raises `FormatError` for a
    damaged layout, missing blobs, wrong sizes or digests, and for links where files should be.
    """
    version = decode_object(_read_small(directory / LAYOUT_FILE), LAYOUT_FILE).get("imageLayoutVersion")
    if version != _LAYOUT_VERSION:
        raise FormatError(
            Reason.MALFORMED, f"the layout's version is {json.dumps(version)[:50]}, not {_LAYOUT_VERSION}"
        )
    entry = _select(parse_index(_read_small(directory / INDEX_FILE)), name)
    content = _read_small(_blob_path(directory, entry.digest))
    verify_manifest_digest(content, entry.digest)
    manifest = Image(content, {}).manifest
    blobs: dict[str, Blob] = {}
    for descriptor in (manifest.config, *manifest.layers):
        path = _blob_path(directory, descriptor.digest)
        if _is_plain_file(path):
            blobs[descriptor.digest] = path
    image = Image(content, blobs)
    image.verify()
    return image


def _select(entries: list[Descriptor], name: str | None) -> Descriptor:
    found = [entry for entry in entries if name is None or entry.annotations.get(NAME_ANNOTATION) == name]
    if len(found) == 1:
        return found[0]
    wanted = f"named {name!r}" if name else "without a name"
    raise FormatError(Reason.MALFORMED, f"the layout holds {len(found)} images {wanted}; expected exactly one")


def _blob_path(directory: Path, digest: str) -> Path:
    return directory / "blobs" / "sha256" / hex_part(digest)


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _read_small(path: Path) -> bytes:
    if not _is_plain_file(path):
        raise FormatError(Reason.BLOB_MISSING, f"the layout has no file {path.name}")
    with path.open("rb") as stream:
        return stream.read(MAX_DOCUMENT_BYTES + 1)


def _write_blob(path: Path, blob: Blob) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(blob, bytes):
        path.write_bytes(blob)
    elif not (path.exists() and path.samefile(blob)):
        shutil.copyfile(blob, path)
