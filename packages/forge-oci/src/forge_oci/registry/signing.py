"""Signing images and attesting facts about them: Sigstore bundles as referrers, which the public cosign verifies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from forge_oci.core import bundle as bundles
from forge_oci.core.errors import FormatError, Reason, VerificationError
from forge_oci.core.keys import PrivateKey, PublicKey
from forge_oci.core.manifest import Descriptor
from forge_oci.core.statement import SIGN_PREDICATE, Statement, check_statement, parse_statement, sign_statement
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError, TransientError

from .client import RegistryClient
from .credentials import COMPONENT

MAX_BUNDLES = 100


class Signer(Protocol):
    """Makes bundles. `KeySigner` has the key in a file; others may ask a key management service."""

    async def public_key(self) -> PublicKey:
        """Return the key that verifies what `sign_statement` makes; called before each signature."""

    async def sign_statement(self, statement: bytes) -> bytes:
        """Return a Sigstore bundle v0.3 with the signed statement.

        Raises `TransientError` where the signer is unreachable, else a `PlatformError` of code `signing_failed`.
        """


class KeySigner:
    """Signs with an ECDSA P-256 key in a PEM file (PKCS#8, not encrypted), read at each signature.

    A file that is not there, or can't be read, is a signer out of reach (`TransientError`): its volume may be mounted again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def public_key(self) -> PublicKey:
        """Return the public half of the key; raises `ConfigurationError` (`signing_failed`) for a bad key."""
        return (await self._load()).public_key

    async def sign_statement(self, statement: bytes) -> bytes:
        """Return the bundle; raises `ConfigurationError` (`signing_failed`) for a bad key."""
        key = await self._load()
        return bundles.build_bundle(statement, key.sign, key.public_key.hint)

    async def _load(self) -> PrivateKey:
        try:
            return PrivateKey.from_pem(await asyncio.to_thread(self._path.read_bytes))
        except OSError as error:
            raise TransientError(
                f"the signing key {self._path} can't be read: {error.strerror}; put it back",
                code=ErrorCode.SIGNING_FAILED,
                component=COMPONENT,
            ) from error
        except FormatError as error:
            raise ConfigurationError(
                f"the signing key {self._path} is none: {error}", code=ErrorCode.SIGNING_FAILED, component=COMPONENT
            ) from error


async def sign_image(
    client: RegistryClient,
    repository: str,
    subject: Descriptor,
    signer: Signer,
    *,
    after: Awaitable[object] | None = None,
) -> Descriptor:
    """Sign an image as `cosign sign` does and return the descriptor of the signature's referrer.

    `subject` describes the image (`Image.descriptor`). A signature by the same key that is there already is returned
    instead of a second one. `after` as in `RegistryClient.attach`.
    """
    return await attest(client, repository, subject, sign_statement(subject.digest), signer, after=after)


async def attest(
    client: RegistryClient,
    repository: str,
    subject: Descriptor,
    statement: bytes,
    signer: Signer,
    *,
    after: Awaitable[object] | None = None,
) -> Descriptor:
    """Sign an in-toto statement about an image, attach it, and return the descriptor of the referrer.

    One of the statement's subjects must be the image, else it is a `ConfigurationError`. The same statement signed by
    the same key that is there already is returned instead of a second one. `after` as in `RegistryClient.attach`.
    """
    _check_about(statement, subject.digest)
    public_key = await signer.public_key()
    async for descriptor, content in _bundles(client, repository, subject.digest):
        if content is not None and _is_same(content, statement, public_key, subject.digest):
            return descriptor
    content = await signer.sign_statement(statement)
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return await client.attach(bundles.pack_bundle(content, subject, created=created), repository, after=after)


async def verify_image(
    client: RegistryClient,
    repository: str,
    digest: str,
    public_keys: Sequence[PublicKey],
    *,
    predicate_type: str = SIGN_PREDICATE,
) -> Statement:
    """Verify that an image has a signature, or with `predicate_type` an attestation of that type, by a trusted key.

    Returns the statement of the first bundle that holds. Raises a `PlatformError` of code `signature_invalid`, whose
    context has the `reason` (see `forge_oci.core.errors.Reason`) of the bundle that came closest.
    """
    found: list[bytes] = []
    try:
        async for _, content in _bundles(client, repository, digest, predicate_type):
            found.append(b"" if content is None else content)
            if _holds(found[-1], public_keys, predicate_type, digest):
                break
        return bundles.verify_any(found, public_keys, predicate_type=predicate_type, digest=digest)
    except VerificationError as error:
        raise PlatformError(
            f"{client.host}/{repository}@{digest}: {error}",
            code=ErrorCode.SIGNATURE_INVALID,
            component=COMPONENT,
            context={"reason": error.reason.value, "digest": digest},
        ) from error


async def _bundles(
    client: RegistryClient, repository: str, digest: str, predicate_type: str = ""
) -> AsyncIterator[tuple[Descriptor, bytes | None]]:
    """Yield the bundles that refer to an image, likely ones first; None for what can't be read as one."""
    entries = await client.referrers(repository, digest, bundles.BUNDLE_TYPE)
    entries.sort(key=lambda entry: entry.annotations.get(bundles.PREDICATE_ANNOTATION) != predicate_type)
    for entry in entries[:MAX_BUNDLES]:
        try:
            image = await client.pull(repository, entry.digest, max_bytes=bundles.MAX_BUNDLE_BYTES)
            yield entry, bundles.unpack_bundle(image, digest)
        except VerificationError:
            yield entry, None
        except PlatformError as error:
            # A damaged referrer must not hide a good one; an unreachable registry is no verdict.
            if error.transient or error.code not in {ErrorCode.REGISTRY_FAILED, ErrorCode.NOT_FOUND}:
                raise
            yield entry, None


def _holds(content: bytes, public_keys: Sequence[PublicKey], predicate_type: str, digest: str) -> bool:
    try:
        bundles.verify_bundle(content, public_keys, predicate_type=predicate_type, digest=digest)
    except VerificationError as error:
        if error.reason is Reason.NO_PUBLIC_KEY:
            raise
        return False
    return True


def _is_same(content: bytes, statement: bytes, public_key: PublicKey, digest: str) -> bool:
    predicate_type = parse_statement(statement).predicate_type
    return (
        _holds(content, [public_key], predicate_type, digest)
        and bundles.parse_bundle(content).envelope.payload == statement
    )


def _check_about(statement: bytes, digest: str) -> None:
    try:
        parsed = parse_statement(statement)
        check_statement(parsed, predicate_type=parsed.predicate_type, digest=digest)
    except VerificationError as error:
        raise ConfigurationError(
            f"the statement cannot be attached to the image: {error}",
            code=ErrorCode.SIGNING_FAILED,
            component=COMPONENT,
        ) from error
