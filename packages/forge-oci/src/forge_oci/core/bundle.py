"""Sigstore bundles v0.3 with a plain public key: build, pack as a referrer, verify.

The public `cosign` (3.0.4 or newer) verifies them offline with the key. It accepts any predicate about the right
subject as a signature; `verify_bundle` does not.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .canonical import decode_object, encode_json
from .digests import digest_bytes
from .dsse import Envelope, parse_envelope, pre_authentication_encoding
from .errors import FormatError, OciError, Reason, VerificationError
from .image import Image
from .keys import PublicKey
from .manifest import CREATED_ANNOTATION, EMPTY_CONFIG, EMPTY_DESCRIPTOR, Descriptor, Manifest
from .statement import STATEMENT_MEDIA_TYPE, Statement, check_statement, parse_statement

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
CONTENT_ANNOTATION = "dev.sigstore.bundle.content"
PREDICATE_ANNOTATION = "dev.sigstore.bundle.predicateType"
MAX_BUNDLE_BYTES = 8 * 1024 * 1024


class Bundle(NamedTuple):
    """A parsed bundle: the envelope, and the hint that names the key (advisory, may be empty)."""

    envelope: Envelope
    hint: str


def build_bundle(statement: bytes, sign: Callable[[bytes], bytes], hint: str) -> bytes:
    """Sign a statement and return the bundle.

    `sign` gets the bytes to sign and returns an ASN.1 DER signature; `hint` is `PublicKey.hint`.
    """
    signature = sign(pre_authentication_encoding(STATEMENT_MEDIA_TYPE, statement))
    return encode_json(
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": Envelope(STATEMENT_MEDIA_TYPE, statement, signature).to_json(),
        }
    )


def parse_bundle(content: bytes) -> Bundle:
    """Parse a bundle without verifying it; raises `VerificationError` (`bundle_malformed`)."""
    try:
        value = decode_object(content, "the bundle", limit=MAX_BUNDLE_BYTES)
    except FormatError as error:
        raise VerificationError(Reason.BUNDLE_MALFORMED, str(error)) from error
    if value.get("mediaType") != BUNDLE_TYPE:
        raise VerificationError(Reason.BUNDLE_MALFORMED, f"the bundle is not of type {BUNDLE_TYPE}")
    material = value.get("verificationMaterial")
    key = material.get("publicKey") if isinstance(material, dict) else None
    hint = key.get("hint") if isinstance(key, dict) else None
    return Bundle(parse_envelope(value.get("dsseEnvelope")), hint if isinstance(hint, str) else "")


def verify_bundle(content: bytes, public_keys: Sequence[PublicKey], *, predicate_type: str, digest: str) -> Statement:
    """Verify a bundle and return its statement.

    It holds if any of `public_keys` made the signature, the predicate has `predicate_type`, and `digest` is one of the
    subjects. Raises `VerificationError` with the reason of the first broken link: `no_public_key`,
    `bundle_malformed`, `wrong_payload_type`, `unknown_key` (signed by a key that isn't one of ours),
    `signature_invalid` (names one of our keys, but the signature doesn't hold), `wrong_statement_type`,
    `wrong_predicate_type`, `wrong_subject`.
    """
    if not public_keys:
        raise VerificationError(Reason.NO_PUBLIC_KEY, "no public key is configured, so no signature can be trusted")
    bundle = parse_bundle(content)
    if bundle.envelope.payload_type != STATEMENT_MEDIA_TYPE:
        raise VerificationError(
            Reason.WRONG_PAYLOAD_TYPE,
            f"the bundle signs {bundle.envelope.payload_type[:100]!r}, not an in-toto statement",
        )
    _check_signature(bundle, public_keys)
    statement = parse_statement(bundle.envelope.payload, limit=MAX_BUNDLE_BYTES)
    check_statement(statement, predicate_type=predicate_type, digest=digest)
    return statement


def pack_bundle(bundle: bytes, subject: Descriptor, *, created: str) -> Image:
    """Return the referrer that carries a bundle, as cosign writes it.

    `subject` is the descriptor of the signed image, `created` an RFC 3339 time.
    """
    predicate_type = parse_statement(parse_bundle(bundle).envelope.payload, limit=MAX_BUNDLE_BYTES).predicate_type
    layer = Descriptor(BUNDLE_TYPE, digest_bytes(bundle), len(bundle))
    manifest = Manifest(
        config=EMPTY_DESCRIPTOR,
        layers=(layer,),
        artifact_type=BUNDLE_TYPE,
        subject=Descriptor(subject.media_type, subject.digest, subject.size),
        annotations={
            CREATED_ANNOTATION: created,
            CONTENT_ANNOTATION: "dsse-envelope",
            PREDICATE_ANNOTATION: predicate_type,
        },
    )
    return Image(manifest.encode(), {EMPTY_DESCRIPTOR.digest: EMPTY_CONFIG, layer.digest: bundle})


def unpack_bundle(image: Image, digest: str) -> bytes:
    """Return the bundle that a referrer of the image `digest` carries.

    Raises `VerificationError`: `wrong_subject` for a referrer of something else, `bundle_malformed` for anything that
    isn't one bundle, or is damaged.
    """
    try:
        manifest = image.manifest
        if manifest.subject is None or manifest.subject.digest != digest:
            raise VerificationError(Reason.WRONG_SUBJECT, f"the signature's manifest does not refer to {digest}")
        if len(manifest.layers) != 1 or manifest.layers[0].media_type != BUNDLE_TYPE:
            raise VerificationError(Reason.BUNDLE_MALFORMED, "the signature's manifest does not hold one bundle")
        return image.read(manifest.layers[0], limit=MAX_BUNDLE_BYTES)
    except FormatError as error:
        raise VerificationError(Reason.BUNDLE_MALFORMED, f"the signature cannot be read: {error}") from error


def verify_any(
    bundles: Sequence[bytes], public_keys: Sequence[PublicKey], *, predicate_type: str, digest: str
) -> Statement:
    """Return the statement of the first bundle that `verify_bundle` accepts.

    Raises `VerificationError`: `bundle_missing` without any bundle, else the error of the bundle that came closest to
    holding (a signature by one of our keys says more than one by a stranger).
    """
    failures: list[VerificationError] = []
    for bundle in bundles:
        try:
            return verify_bundle(bundle, public_keys, predicate_type=predicate_type, digest=digest)
        except VerificationError as error:
            failures.append(error)
    if not failures:
        raise VerificationError(Reason.BUNDLE_MISSING, f"{digest} has no signature; sign it or check its registry")
    raise max(failures, key=_closeness)


_PROGRESS = [
    Reason.NO_PUBLIC_KEY,
    Reason.BUNDLE_MALFORMED,
    Reason.WRONG_PAYLOAD_TYPE,
    Reason.UNKNOWN_KEY,
    Reason.SIGNATURE_INVALID,
    Reason.WRONG_STATEMENT_TYPE,
    Reason.WRONG_PREDICATE_TYPE,
    Reason.WRONG_SUBJECT,
]


def _closeness(error: OciError) -> int:
    return _PROGRESS.index(error.reason)


def _check_signature(bundle: Bundle, public_keys: Sequence[PublicKey]) -> None:
    envelope = bundle.envelope
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    if any(key.verify(envelope.signature, message) for key in public_keys):
        return
    if bundle.hint in {key.hint for key in public_keys}:
        raise VerificationError(
            Reason.SIGNATURE_INVALID, "the signature does not match what it signs: it was tampered with"
        )
    raise VerificationError(Reason.UNKNOWN_KEY, "the signature was made with a key that is not trusted here")
