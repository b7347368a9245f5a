"""The one root of what `forge_oci.core` raises, and the reasons it can have."""

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused. The values are stable: callers, logs and documentation name them."""

    INVALID_DIGEST = "invalid_digest"
    INVALID_NAME = "invalid_name"
    INVALID_KEY = "invalid_key"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    DIGEST_MISMATCH = "digest_mismatch"
    SIZE_MISMATCH = "size_mismatch"
    BLOB_MISSING = "blob_missing"
    WRONG_MEDIA_TYPE = "wrong_media_type"
    WRONG_ARTIFACT_TYPE = "wrong_artifact_type"
    WRONG_LAYERS = "wrong_layers"
    WRONG_SUBJECT = "wrong_subject"
    WRONG_METADATA = "wrong_metadata"

    PATH_TRAVERSAL = "path_traversal"
    ABSOLUTE_PATH = "absolute_path"
    INVALID_PATH = "invalid_path"
    DUPLICATE_PATH = "duplicate_path"
    LINK = "link"
    DEVICE = "device"
    SPARSE = "sparse"
    UNSUPPORTED_ENTRY = "unsupported_entry"
    TRUNCATED = "truncated"
    TOO_MANY_ENTRIES = "too_many_entries"
    COMPRESSION_BOMB = "compression_bomb"
    TRAILING_DATA = "trailing_data"

    BUNDLE_MALFORMED = "bundle_malformed"
    BUNDLE_MISSING = "bundle_missing"
    WRONG_PAYLOAD_TYPE = "wrong_payload_type"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE_INVALID = "signature_invalid"
    WRONG_STATEMENT_TYPE = "wrong_statement_type"
    WRONG_PREDICATE_TYPE = "wrong_predicate_type"
    NO_PUBLIC_KEY = "no_public_key"


class OciError(Exception):
    """Something is not what a format, a digest or a signature promises.

    `reason` says which promise was broken, the text what to do about it.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FormatError(OciError):
    """A name, digest, manifest, image or layout breaks its format."""


class ArchiveError(OciError):
    """A resources archive is damaged or hostile."""


class VerificationError(OciError):
    """A signature, attestation or the content that it covers does not hold."""
