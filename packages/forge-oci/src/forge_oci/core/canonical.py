"""JSON: one way to write it (equal values give equal bytes) and a strict, bounded way to read it."""

import json
from typing import Any

from .errors import FormatError, Reason

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024


def encode_json(value: object) -> bytes:
    """Return `value` as JSON: keys sorted, no white space, UTF-8, no NaN."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError) as error:
        raise FormatError(Reason.MALFORMED, f"the value cannot be written as JSON: {error}") from error


def decode_object(content: bytes, what: str, *, limit: int = MAX_DOCUMENT_BYTES) -> dict[str, Any]:
    """Parse a JSON object.

    `what` names it in errors, `limit` bounds its size. Refuses other encodings than UTF-8, keys given twice, numbers
    that JSON doesn't know, and absurd nesting: `FormatError` with `too_large` or `malformed`.
    """
    if len(content) > limit:
        raise FormatError(Reason.TOO_LARGE, f"{what} has {len(content)} bytes; at most {limit} are accepted")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(Reason.MALFORMED, f"{what} is not valid JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise FormatError(Reason.MALFORMED, f"{what} is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
