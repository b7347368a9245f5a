"""SHA-256 digests as OCI writes them: `sha256:` and 64 lower-case hexadecimal digits."""

import hashlib
import re
from typing import TYPE_CHECKING

from .errors import FormatError, Reason

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES = 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def validate_digest(value: object) -> str:
    """Return `value` if it is a SHA-256 digest, else raise `FormatError` (`invalid_digest`)."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        shown = repr(value)[:100]
        raise FormatError(Reason.INVALID_DIGEST, f"{shown} is not a digest; expected sha256:<64 hexadecimal digits>")
    return value


def digest_bytes(content: bytes) -> str:
    """Return the digest of `content`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_file(path: "Path") -> str:
    """Return the digest of a file, read in chunks."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def hex_part(digest: str) -> str:
    """Return the 64 hexadecimal digits of a digest."""
    return validate_digest(digest).removeprefix("sha256:")


def blob_size(blob: "bytes | Path") -> int:
    """Return how many bytes a blob in memory or in a file has."""
    return len(blob) if isinstance(blob, bytes) else blob.stat().st_size


def digest_blob(blob: "bytes | Path") -> str:
    """Return the digest of a blob in memory or in a file."""
    return digest_bytes(blob) if isinstance(blob, bytes) else digest_file(blob)
