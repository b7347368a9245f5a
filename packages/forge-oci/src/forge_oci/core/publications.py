"""Publications: where an artifact was published, as a referrer of its tracking image.

There is one referrer for each state of the publish ledger; the one with the highest sequence number counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .canonical import MAX_DOCUMENT_BYTES, decode_object, encode_json
from .digests import digest_bytes
from .errors import FormatError, Reason
from .image import Image
from .manifest import EMPTY_CONFIG, EMPTY_DESCRIPTOR, LAYER_TYPE_ANNOTATION, Descriptor, Manifest

PUBLICATIONS_TYPE = "application/vnd.forge.publications.v1+json"
SEQUENCE_ANNOTATION = "org.catalyst-forge.publications.sequence"


def pack_publications(publications: Sequence[Mapping[str, Any]], subject: Descriptor, *, sequence: int) -> Image:
    """Return the referrer that records the published locations of a tracking image.

    `publications` are JSON objects, one for each row of the ledger; `subject` describes the tracking image; `sequence`
    counts the states of the ledger from 1. Equal input gives equal bytes.
    """
    content = encode_json({"sequence": sequence, "publications": list(publications)})
    layer = Descriptor(PUBLICATIONS_TYPE, digest_bytes(content), len(content), {LAYER_TYPE_ANNOTATION: "publications"})
    manifest = Manifest(
        config=EMPTY_DESCRIPTOR,
        layers=(layer,),
        artifact_type=PUBLICATIONS_TYPE,
        subject=Descriptor(subject.media_type, subject.digest, subject.size),
        annotations={SEQUENCE_ANNOTATION: str(sequence)},
    )
    return Image(manifest.encode(), {EMPTY_DESCRIPTOR.digest: EMPTY_CONFIG, layer.digest: content})


def newest_publications(referrers: Iterable[Descriptor]) -> Descriptor | None:
    """Return the referrer that counts among those of a tracking image, None where nothing is recorded."""
    found = (entry for entry in referrers if entry.artifact_type == PUBLICATIONS_TYPE)
    return max(found, key=lambda entry: (_sequence(entry), entry.digest), default=None)


def unpack_publications(image: Image, subject_digest: str) -> list[Mapping[str, Any]]:
    """Return the recorded publications.

    Raises `FormatError`: `wrong_artifact_type`, `wrong_subject` for a referrer of another tracking image,
    `wrong_layers` or `malformed`.
    """
    manifest = image.manifest
    if manifest.artifact_type != PUBLICATIONS_TYPE:
        raise FormatError(Reason.WRONG_ARTIFACT_TYPE, "the image does not hold publications")
    if manifest.subject is None or manifest.subject.digest != subject_digest:
        raise FormatError(Reason.WRONG_SUBJECT, f"the publications do not refer to {subject_digest}")
    if len(manifest.layers) != 1 or manifest.layers[0].media_type != PUBLICATIONS_TYPE:
        raise FormatError(Reason.WRONG_LAYERS, "the publications are not one layer of their type")
    value = decode_object(image.read(manifest.layers[0], limit=MAX_DOCUMENT_BYTES), "the publications")
    publications = value.get("publications")
    if not isinstance(publications, list) or not all(isinstance(entry, dict) for entry in publications):
        raise FormatError(Reason.MALFORMED, "the publications are not a list of objects")
    return publications


def _sequence(descriptor: Descriptor) -> int:
    text = descriptor.annotations.get(SEQUENCE_ANNOTATION, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0  # noqa: PLR2004
