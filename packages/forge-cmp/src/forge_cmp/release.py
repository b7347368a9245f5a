"""From a pointer to the rendered resources of its release: pull, verify, unpack. Fails closed at the first broken link."""

from collections.abc import Mapping
from typing import Any

from forge_oci.core.bundle import verify_any, verify_bundle
from forge_oci.core.canonical import MAX_DOCUMENT_BYTES
from forge_oci.core.errors import OciError, VerificationError
from forge_oci.core.image import Image
from forge_oci.core.keys import PublicKey
from forge_oci.core.names import repository_path, validate_host
from forge_oci.core.release import Release, check_release_manifest, unpack_release
from forge_oci.core.statement import SIGN_PREDICATE
from forge_oci.core.unpack import DEFAULT_LIMITS

from .deadline import Deadline
from .errors import CmpError
from .pointer import Pointer
from .registry import RegistryReader
from .rendering import render
from .settings import Settings
from .transport import Transport


def fetch_resources(settings: Settings, pointer: Pointer) -> bytes:
    """The YAML stream of the release that `pointer` names.

    Raises `CmpError`; its code is that of the first link that does not hold.
    """
    try:
        release = _fetch(settings, pointer)
    except OciError as error:
        raise CmpError(error.reason.value, str(error), details=_details(settings, pointer)) from error
    _check_identity(release.metadata, pointer)
    return render(release.files)


def _fetch(settings: Settings, pointer: Pointer) -> Release:
    validate_host(settings.registry)
    repository = repository_path(settings.release_prefix, pointer.repository, pointer.project)
    reader = RegistryReader(Transport(settings, Deadline(settings.deadline_s)), repository)
    image = reader.manifest(pointer.digest)
    layer = check_release_manifest(image.manifest)
    if settings.require_signature:
        _verify(reader, pointer.digest, [PublicKey.from_pem(pem) for pem in settings.public_keys])
    config = image.manifest.config
    blobs = {
        config.digest: reader.blob(config, limit=MAX_DOCUMENT_BYTES),
        layer.digest: reader.blob(layer, limit=DEFAULT_LIMITS.compressed_bytes),
    }
    return unpack_release(Image(image.manifest_bytes, blobs))


def _verify(reader: RegistryReader, digest: str, keys: list[PublicKey]) -> None:
    found: list[bytes] = []
    for bundle in reader.bundles(digest):
        found.append(bundle)
        if _holds(bundle, keys, digest):
            return
    verify_any(found, keys, predicate_type=SIGN_PREDICATE, digest=digest)


def _holds(bundle: bytes, keys: list[PublicKey], digest: str) -> bool:
    try:
        verify_bundle(bundle, keys, predicate_type=SIGN_PREDICATE, digest=digest)
    except VerificationError:
        return False
    return True


def _check_identity(metadata: Mapping[str, Any], pointer: Pointer) -> None:
    source = metadata.get("source")
    commit = source.get("commit") if isinstance(source, dict) else None
    expected = {"repository": pointer.repository, "project": pointer.project, "commit": pointer.release}
    found = {"repository": metadata.get("repository"), "project": metadata.get("project"), "commit": commit}
    for name, value in expected.items():
        if found[name] != value:
            raise CmpError(
                "release_mismatch",
                f"the image is of another {name}: {str(found[name])[:200]!r}, the pointer names {value!r}",
                details=(f"digest: {pointer.digest}",),
            )


def _details(settings: Settings, pointer: Pointer) -> tuple[str, ...]:
    return f"release: {pointer}", f"digest: {pointer.digest}", f"registry: {settings.registry}"
