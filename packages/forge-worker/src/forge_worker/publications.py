"""Published locations as a signed referrer of the tracking image."""

from collections.abc import Mapping, Sequence
from typing import Any

from forge_oci.core.errors import OciError
from forge_oci.core.publications import (
    PUBLICATIONS_TYPE,
    SEQUENCE_ANNOTATION,
    newest_publications,
    pack_publications,
    unpack_publications,
)
from forge_oci.registry import RegistryClient, Signer, sign_image
from forge_sdk.models.api import Publication
from forge_worker.images import GuardedSigner
from forge_worker.sealing.tracking import Sealed

MAX_BYTES = 4 * 2**20


async def attach_publications(
    client: RegistryClient, signer: Signer, sealed: Sealed, rows: Sequence[Publication]
) -> None:
    """Attach the state of the ledger to the tracking image, and sign it; a state that is there already is only signed.

    Raises `signing_failed` or what the registry answers. The newest referrer counts, so a later state adds one.
    """
    publications = [_entry(row) for row in rows]
    referrers = await client.referrers(sealed.repository, sealed.descriptor.digest, PUBLICATIONS_TYPE)
    newest = newest_publications(referrers)
    if newest is not None and await _holds(client, sealed, newest.digest, publications):
        image = await client.pull_manifest(sealed.repository, newest.digest)
    else:
        known = (entry.annotations.get(SEQUENCE_ANNOTATION, "") for entry in referrers)
        sequence = 1 + max((int(text) for text in known if text.isascii() and text.isdigit()), default=0)
        image = pack_publications(publications, sealed.descriptor, sequence=sequence)
        await client.attach(image, sealed.repository)
    await sign_image(client, sealed.repository, image.descriptor, GuardedSigner(signer))


async def _holds(
    client: RegistryClient, sealed: Sealed, digest: str, publications: Sequence[Mapping[str, Any]]
) -> bool:
    try:
        image = await client.pull(sealed.repository, digest, max_bytes=MAX_BYTES)
        return unpack_publications(image, sealed.descriptor.digest) == publications
    except OciError:
        return False


def _entry(row: Publication) -> dict[str, Any]:
    """What is public of a row: errors may quote a target's answer, so only their code is told."""
    entry: dict[str, Any] = row.model_dump(mode="json", include={"publisher", "file", "digest", "state", "uri"})
    return entry | ({"error": row.error.code} if row.error is not None else {})
