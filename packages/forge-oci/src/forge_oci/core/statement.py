"""in-toto statements (attestation framework v1): what a signature says about which content."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .canonical import MAX_DOCUMENT_BYTES, decode_object, encode_json
from .digests import hex_part
from .errors import OciError, Reason, VerificationError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
STATEMENT_MEDIA_TYPE = "application/vnd.in-toto+json"
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
PROVENANCE_PREDICATE = "https://slsa.dev/provenance/v1"
SPDX_PREDICATE = "https://spdx.dev/Document"
_ACCEPTED_TYPES = (STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1")


class Statement(NamedTuple):
    """A statement: digests of what it is about (`sha256:...`), the predicate's type, and the predicate."""

    subjects: tuple[str, ...]
    predicate_type: str
    predicate: Mapping[str, Any]


def encode_statement(
    subjects: Iterable[tuple[str | None, str]], predicate_type: str, predicate: Mapping[str, Any]
) -> bytes:
    """Return the bytes of a statement.

    `subjects` are pairs of a name (or None) and a digest `sha256:...`. Equal input gives equal bytes.
    """
    entries = [({"name": name} if name else {}) | {"digest": {"sha256": hex_part(digest)}} for name, digest in subjects]
    return encode_json(
        {"_type": STATEMENT_TYPE, "subject": entries, "predicateType": predicate_type, "predicate": predicate}
    )


def sign_statement(digest: str) -> bytes:
    """Return the statement that `cosign sign` makes about an image."""
    return encode_statement([(None, digest)], SIGN_PREDICATE, {})


def parse_statement(content: bytes, *, limit: int = MAX_DOCUMENT_BYTES) -> Statement:
    """Parse a statement; raises `VerificationError` (`bundle_malformed`, `wrong_statement_type`)."""
    try:
        value = decode_object(content, "the statement", limit=limit)
        subjects = value.get("subject")
        digests = tuple("sha256:" + _sha256(entry) for entry in subjects) if isinstance(subjects, list) else ()
    except OciError as error:
        raise VerificationError(Reason.BUNDLE_MALFORMED, str(error)) from error
    if value.get("_type") not in _ACCEPTED_TYPES:
        raise VerificationError(Reason.WRONG_STATEMENT_TYPE, "the signed payload is not an in-toto statement")
    predicate_type, predicate = value.get("predicateType"), value.get("predicate") or {}
    if not isinstance(predicate_type, str) or not isinstance(predicate, dict):
        raise VerificationError(Reason.BUNDLE_MALFORMED, "the statement has no predicate type or a malformed predicate")
    return Statement(digests, predicate_type, predicate)


def check_statement(statement: Statement, *, predicate_type: str, digest: str) -> None:
    """Check what a statement is about.

    Raises `VerificationError`: `wrong_predicate_type` or `wrong_subject`.
    """
    if statement.predicate_type != predicate_type:
        raise VerificationError(
            Reason.WRONG_PREDICATE_TYPE,
            f"the statement's predicate is {statement.predicate_type[:200]!r}, expected {predicate_type!r}",
        )
    if digest not in statement.subjects:
        raise VerificationError(Reason.WRONG_SUBJECT, f"the statement is not about {digest}")


def _sha256(entry: object) -> str:
    digest = entry.get("digest") if isinstance(entry, dict) else None
    value = digest.get("sha256") if isinstance(digest, dict) else None
    return hex_part(f"sha256:{value}")
