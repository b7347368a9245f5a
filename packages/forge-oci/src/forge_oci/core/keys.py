"""ECDSA P-256 keys with SHA-256, compatible with cosign: generate, load, sign, verify."""

import os
from typing import TYPE_CHECKING

from .errors import FormatError, Reason

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey

_P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""DER of a SubjectPublicKeyInfo (RFC 5480) of the curve P-256, up to the point."""
_P256_POINT = 65


class PublicKey:
    """A public key that verifies signatures."""

    def __init__(self, key: "EllipticCurvePublicKey") -> None:
        self._key = key

    @classmethod
    def from_pem(cls, pem: bytes) -> "PublicKey":
        """Load a PEM `PUBLIC KEY`; raises `FormatError` (`invalid_key`) unless it is ECDSA P-256."""
        point = _plain_point(pem)
        if point is not None:
            return cls(_from_point(point))
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise FormatError(Reason.INVALID_KEY, "the public key is not a PEM public key") from error
        if not isinstance(key, EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise FormatError(Reason.INVALID_KEY, "the public key is not an ECDSA P-256 key")
        return cls(key)

    @classmethod
    def from_file(cls, path: "Path") -> "PublicKey":
        """Load a PEM file; see `from_pem`."""
        return cls.from_pem(_read_key(path))

    @property
    def pem(self) -> bytes:
        """The key as PEM SubjectPublicKeyInfo, the format of `cosign.pub`."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def hint(self) -> str:
        """Base64 of the SHA-256 of the DER key, with which Sigstore bundles name their key."""
        import base64
        import hashlib

        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Tell whether `signature` (ASN.1 DER) is this key's signature of `message`."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message, _ecdsa())
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """A private key that signs. Its representation never shows the key."""

    def __init__(self, key: "EllipticCurvePrivateKey") -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "PrivateKey":
        """Make a new key."""
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

        return cls(generate_private_key(SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> "PrivateKey":
        """Load an unencrypted PEM private key; raises `FormatError` (`invalid_key`) unless it is ECDSA P-256."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(pem, password=None)
        except (TypeError, ValueError, UnsupportedAlgorithm):
            # Without its cause: a parser's message may quote the key.
            raise FormatError(Reason.INVALID_KEY, "the private key is not an unencrypted PEM private key") from None
        if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise FormatError(Reason.INVALID_KEY, "the private key is not an ECDSA P-256 key")
        return cls(key)

    @classmethod
    def from_file(cls, path: "Path") -> "PrivateKey":
        """Load a PEM file; see `from_pem`."""
        return cls.from_pem(_read_key(path))

    @property
    def pem(self) -> bytes:
        """The key as unencrypted PKCS#8 PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return PublicKey(self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, ASN.1 DER."""
        return self._key.sign(message, _ecdsa())


def write_key_pair(private_path: "Path", public_path: "Path") -> PrivateKey:
    """Generate a key and write both halves; the private file is readable by its owner only (0600).

    An existing private key is never overwritten: raises `FileExistsError`.
    """
    key = PrivateKey.generate()
    handle = os.open(private_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(key.pem)
    public_path.write_bytes(key.public_key.pem)
    return key


def _ecdsa() -> "ECDSA":
    """ECDSA with SHA-256.

    Its own constructor imports the modules of all ciphers, to ask whether signatures of another kind are supported; that
    takes longer than a whole verification.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    class WithSha256(ECDSA):
        def __init__(self) -> None:
            pass

        @property
        def algorithm(self) -> SHA256:
            return SHA256()

        @property
        def deterministic_signing(self) -> bool:
            return False

    return WithSha256()


def _plain_point(pem: bytes) -> bytes | None:
    """The point of a P-256 key as everybody writes it; None leaves other keys to the library's own reader.

    That reader's module imports those of all other formats, which takes longer than a whole verification.
    """
    import binascii

    begin, end = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"
    text = pem.strip()
    if not text.startswith(begin) or not text.endswith(end):
        return None
    try:
        der = binascii.a2b_base64(b"".join(text[len(begin) : -len(end)].split()), strict_mode=True)
    except ValueError:
        return None
    point = der.removeprefix(_P256_PREFIX)
    return point if len(point) == _P256_POINT and der.startswith(_P256_PREFIX) else None


def _from_point(point: bytes) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

    try:
        return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError as error:
        raise FormatError(Reason.INVALID_KEY, "the public key is not a point of the curve P-256") from error


def _read_key(path: "Path") -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FormatError(Reason.INVALID_KEY, f"the key file {path} cannot be read: {error.strerror}") from error
