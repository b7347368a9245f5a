"""Resolving secret references: policy first, then the provider's plugin, then masking and an audit line."""

import logging
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pydantic import BaseModel

from forge_sdk.configuration import WorkerConfiguration
from forge_sdk.errors import AuthenticationError, ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.plugins.manager import Plugins
from forge_sdk.retry import DEFAULT_RETRY, RetryPolicy
from forge_sdk.secrets import Masker, Secret, SecretReference
from forge_worker.settings import plugin_settings, validated

REPOSITORY_PURPOSES = frozenset({"ci", "publishers"})
"""Purposes whose references are written by repositories; those of other purposes come from operators."""
LOCAL_PROVIDER = "local"
NAME_FIELDS = ("secretName", "path", "name", "key")
"""Fields that name a secret within a provider; the first one present is what the policy looks at."""

logger = get_logger(__name__)


class SecretPolicy(Protocol):
    """Says which references a repository may use."""

    def check(self, reference: SecretReference, *, repository: str, purpose: str) -> None:
        """Raises `AuthenticationError` where the repository may not use the reference for that purpose."""


@dataclass(frozen=True, slots=True)
class PrefixPolicy:
    """A repository may use what lies below `<purpose>/<owner>/<name>/`, and `local` where `allow_local` is set."""

    allow_local: bool

    def check(self, reference: SecretReference, *, repository: str, purpose: str) -> None:
        """Operators' references pass; `..` never does."""
        if purpose not in REPOSITORY_PURPOSES or (reference.provider == LOCAL_PROVIDER and self.allow_local):
            return
        prefix = f"{purpose}/{repository}/"
        name = next((str(reference.fields[field]) for field in NAME_FIELDS if field in reference.fields), "")
        if not name.startswith(prefix) or ".." in name.split("/"):
            raise AuthenticationError(
                f"{repository} may not use the secret {reference}: its secrets are those below {prefix}",
                component="secrets",
            )


@dataclass(frozen=True, slots=True)
class _ResolverContext:
    logger: logging.Logger
    settings: BaseModel | None
    retry: RetryPolicy = DEFAULT_RETRY


class SecretStore:
    """Resolves references through the installed resolvers; nothing is kept."""

    def __init__(
        self, configuration: WorkerConfiguration, plugins: Plugins, policy: SecretPolicy | None = None
    ) -> None:
        self._configuration, self._plugins = configuration, plugins
        self._policy = policy or PrefixPolicy(allow_local=configuration.allow_local_repositories)

    async def resolve(
        self,
        reference: SecretReference,
        *,
        masker: Masker,
        repository: str,
        purpose: str,
        job_id: UUID | None = None,
    ) -> Secret:
        """The secret, registered at `masker`; each attempt leaves an audit line without the value.

        Raises `AuthenticationError` where policy refuses it, `PlatformError` of `plugin_missing` or `secret_unresolved`.
        """
        facts = {
            "reference": str(reference),
            "repository": repository,
            "purpose": purpose,
            "job_id": str(job_id) if job_id else None,
        }
        try:
            self._policy.check(reference, repository=repository, purpose=purpose)
            secret = await DEFAULT_RETRY.call(lambda: self._resolve(reference))
        except PlatformError as error:
            logger.warning("secret_refused", code=error.code.value, **facts)
            raise
        masker.register(secret)
        logger.info("secret_accessed", **facts)
        return secret

    async def _resolve(self, reference: SecretReference) -> Secret:
        resolver = self._plugins.secret_resolver(reference.provider)
        validated(resolver.configuration, reference.fields, f"secret reference {reference}")
        settings = plugin_settings(resolver.name, resolver.settings, self._configuration.plugins)
        context = _ResolverContext(logging.getLogger(f"forge.plugin.{resolver.name}"), settings)
        try:
            return await resolver.resolve(reference, context)
        except PlatformError:
            raise
        except Exception as error:  # noqa: BLE001 - the fence around a plugin
            # The text of a foreign error may hold the value, so only its kind is told.
            raise PlatformError(
                f"secret resolver {resolver.name!r} failed for {reference}: {type(error).__name__}",
                code=ErrorCode.SECRET_UNRESOLVED,
                component="secrets",
            ) from None
