"""Pushing images so that nothing unsigned is ever found under its tag."""

import asyncio
from collections.abc import Awaitable, Sequence

from forge_oci.core.image import Image
from forge_oci.core.keys import PublicKey
from forge_oci.core.statement import sign_statement
from forge_oci.registry import RegistryClient, Signer, attest
from forge_oci.registry.session import gather
from forge_sdk.errors import ErrorCode, PlatformError, TransientError


async def push_signed(
    client: RegistryClient,
    signer: Signer,
    image: Image,
    repository: str,
    *,
    tag: str,
    statements: Sequence[bytes] = (),
    before_tag: Awaitable[object] | None = None,
) -> str:
    """Push an image by digest, sign it, attach `statements`, then give it its immutable tag; returns the digest.

    `before_tag` is awaited before the tag, for what goes on beside and must be there by then; what it raises is raised.
    An image that is there with the same digest is signed where it is not yet. Raises `AlreadyExists` where the tag names
    another image, `signing_failed` where it can't be signed (transient where the signer is unreachable); the tag is not
    written then.
    """
    guarded = GuardedSigner(signer)
    pushing = asyncio.ensure_future(client.push(image, repository))
    attached = [sign_statement(image.digest), *statements]
    try:
        await gather(
            attest(client, repository, image.descriptor, statement, guarded, after=asyncio.shield(pushing))
            for statement in attached
        )
        # Where everything was attached already, nothing has waited for the push.
        await pushing
    finally:
        await _ended(pushing)
    if before_tag is not None:
        await before_tag
    await client.tag(image, repository, tag)
    return image.digest


async def _ended(pushing: asyncio.Future[str]) -> None:
    """Nothing goes on after a failure; its own error is raised by who waited for it."""
    pushing.cancel()
    await asyncio.wait([pushing])
    if not pushing.cancelled():
        pushing.exception()


class GuardedSigner:
    """A signer whose failures all have the code `signing_failed`, and keep whether trying again may help."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def public_key(self) -> PublicKey:
        """Return the key of the signer."""
        try:
            return await self._signer.public_key()
        except PlatformError as error:
            raise _signing_failed(error) from error

    async def sign_statement(self, statement: bytes) -> bytes:
        """Return the bundle that the signer makes."""
        try:
            return await self._signer.sign_statement(statement)
        except PlatformError as error:
            raise _signing_failed(error) from error


def _signing_failed(error: PlatformError) -> PlatformError:
    kind = TransientError if error.transient else PlatformError
    advice = "" if error.transient else "; check the key of the worker"
    return kind(f"the signer failed: {error.message}{advice}", code=ErrorCode.SIGNING_FAILED, component="signing")
