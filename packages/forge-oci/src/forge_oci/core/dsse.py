"""DSSE (Dead Simple Signing Envelope) v1: what exactly is signed, and the envelope around it."""

import base64
import binascii
from typing import Any, NamedTuple

from .errors import Reason, VerificationError


class Envelope(NamedTuple):
    """A payload with its type and its one signature (ASN.1 DER)."""

    payload_type: str
    payload: bytes
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        """Return the envelope as cosign writes it: one signature without a key id."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"sig": base64.b64encode(self.signature).decode()}],
        }


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: `DSSEv1 <length> <type> <length> <payload>`."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_envelope(value: object) -> Envelope:
    """Check the envelope of a parsed document; raises `VerificationError` (`bundle_malformed`)."""
    signatures = value.get("signatures") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(signatures, list) or len(signatures) != 1:
        raise _malformed("the bundle holds no DSSE envelope with exactly one signature")
    signature, payload_type = signatures[0], value.get("payloadType")
    if not isinstance(signature, dict) or not isinstance(payload_type, str):
        raise _malformed("the DSSE envelope is malformed")
    return Envelope(payload_type, _decode(value.get("payload")), _decode(signature.get("sig")))


def _decode(value: object) -> bytes:
    if not isinstance(value, str) or not value:
        raise _malformed("the DSSE envelope lacks its payload or signature")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("the DSSE envelope is not base64") from error


def _malformed(message: str) -> VerificationError:
    return VerificationError(Reason.BUNDLE_MALFORMED, message)
