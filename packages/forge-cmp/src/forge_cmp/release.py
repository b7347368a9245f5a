"""From a pointer to the rendered resources of its release: pull, verify, unpack. Fails closed at the first broken link."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forge_oci.core.canonical import MAX_DOCUMENT_BYTES
from forge_oci.core.errors import OciError
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
    transport = Transport(settings, Deadline(settings.deadline_s))
    try:
        return render(_verified(settings, pointer, transport).files)
    finally:
        transport.close()


def _verified(settings: Settings, pointer: Pointer, transport: Transport) -> Release:
    try:
        validate_host(settings.registry)
        # The library that verifies takes long to import: the registry answers meanwhile.
        keys = _read_meanwhile(settings.public_keys) if settings.require_signature else list
        release = _fetch(settings, pointer, transport, keys)
    except OciError as error:
        raise CmpError(error.reason.value, str(error), details=_details(settings, pointer)) from error
    _check_identity(release.metadata, pointer)
    if settings.require_provenance:
        from .policy import Policy, verify_artifacts

        verify_artifacts(release.metadata, pointer, transport, Policy(keys(), settings.allowed_refs))
    return release


def _fetch(
    settings: Settings, pointer: Pointer, transport: Transport, keys: Callable[[], Sequence[PublicKey]]
) -> Release:
    repository = repository_path(settings.release_prefix, pointer.repository, pointer.project)
    reader = RegistryReader(transport, repository)
    image = reader.manifest(pointer.digest)
    layer = check_release_manifest(image.manifest)
    if settings.require_signature:
        reader.attestations(pointer.digest).verify(keys(), SIGN_PREDICATE)
    config = image.manifest.config
    blobs = {
        config.digest: reader.blob(config, limit=MAX_DOCUMENT_BYTES),
        layer.digest: reader.blob(layer, limit=DEFAULT_LIMITS.compressed_bytes),
    }
    return unpack_release(Image(image.manifest_bytes, blobs))


def _read_meanwhile(pems: Sequence[bytes]) -> Callable[[], list[PublicKey]]:
    """Reads the keys in a thread; the result waits for them, and raises `FormatError` for one that is none."""
    from threading import Thread

    keys: list[PublicKey] = []
    failures: list[Exception] = []

    def read() -> None:
        try:
            keys.extend(PublicKey.from_pem(pem) for pem in pems)
        except Exception as error:  # noqa: BLE001 - raised where the keys are needed
            failures.append(error)

    # No daemon: the interpreter can't end within an import of a library that isn't written in Python.
    thread = Thread(target=read, name="keys")
    thread.start()

    def result() -> list[PublicKey]:
        thread.join()
        if failures:
            raise failures[0]
        return keys

    return result


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
