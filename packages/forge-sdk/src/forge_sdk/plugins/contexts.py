"""What the platform gives to a plugin: narrow protocols, one for each kind of plugin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from forge_sdk.models.artifacts import PublishedFile
from forge_sdk.retry import RetryPolicy
from forge_sdk.secrets import Secret, SecretReference


@dataclass(frozen=True, slots=True)
class Execution:
    """How a process ended: its exit code (negative: the signal) and the last lines that it wrote, masked."""

    exit_code: int
    tail: str


class PluginContext(Protocol):
    """What every plugin may use."""

    @property
    def logger(self) -> "Logger | LoggerAdapter[Any]":
        """Logger of this call; secrets that the call resolved are masked."""

    @property
    def settings(self) -> BaseModel | None:
        """Settings of this plugin on this platform: an instance of the plugin's `settings` model, `None` where it declares none."""

    @property
    def retry(self) -> RetryPolicy:
        """The platform's policy for repeating what failed with a transient error."""


class SecretAccess(Protocol):
    """Access to the secrets that the configuration refers to."""

    async def secret(self, reference: SecretReference) -> Secret:
        """The secret, resolved now and registered for masking; don't keep it.

        Raises `AuthenticationError` where policy refuses the reference, `PlatformError` where it can't be resolved.
        """


class ProcessAccess(Protocol):
    """Running programs in the worker's isolation."""

    async def execute(
        self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> Execution:
        """Run `argv` to its end; output goes to the log of the step or artifact.

        `environment` is added to the environment of steps. When the job is cancelled or its time is over, the whole process tree is
        ended and the call raises. Raises `ConfigurationError` where the program does not exist.
        """


class ProducerContext(PluginContext, SecretAccess, ProcessAccess, Protocol):
    """What a producer may use."""


class StepContext(PluginContext, ProcessAccess, Protocol):
    """What a step action may use; the step's secrets are in the environment of what it executes."""


class PublisherContext(PluginContext, SecretAccess, Protocol):
    """What a publisher may use."""

    async def file_published(self, file: PublishedFile) -> None:
        """Record in the publish ledger what became of one file, as soon as it is known."""


class ResolverContext(PluginContext, Protocol):
    """What a secret resolver may use."""
