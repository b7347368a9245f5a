"""Registry client, signing and verification; needs the extra `registry`."""

from .client import RegistryClient
from .credentials import Credentials, CredentialSource
from .signing import KeySigner, Signer, attest, sign_image, verify_image

__all__ = [
    "CredentialSource",
    "Credentials",
    "KeySigner",
    "RegistryClient",
    "Signer",
    "attest",
    "sign_image",
    "verify_image",
]
