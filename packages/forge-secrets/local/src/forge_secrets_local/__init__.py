"""Secret resolver `local`: values from one file of this machine, or from environment variables `FORGE_SECRET_*`."""

from collections.abc import Sequence

from forge_sdk.plugins import SecretResolver, hookimpl
from forge_secrets_local.resolver import LocalResolver


@hookimpl
def forge_secret_resolvers() -> Sequence[SecretResolver]:
    """The resolver `local`."""
    return [LocalResolver()]
