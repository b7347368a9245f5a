"""A context that runs a plugin on this machine, without a platform."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.artifacts import PublishedFile
from forge_sdk.plugins.contexts import Execution
from forge_sdk.retry import RetryPolicy
from forge_sdk.secrets import Secret, SecretReference

TAIL = 4000


@dataclass
class LocalContext:
    """Satisfies the contexts of every kind of plugin: secrets come from `secrets` (by their text), everything is recorded."""

    secrets: Mapping[str, Secret] = field(default_factory=dict)
    settings: BaseModel | None = None
    retry: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(attempts=3, base_delay=0.01, max_delay=0.1, jitter=0.01)
    )
    environment: Mapping[str, str] = field(default_factory=dict)
    published: list[PublishedFile] = field(default_factory=list)
    output: bytearray = field(default_factory=bytearray)

    @property
    def logger(self) -> "logging.Logger | logging.LoggerAdapter[Any]":
        """An ordinary logger."""
        return logging.getLogger("forge.plugin")

    async def secret(self, reference: SecretReference) -> Secret:
        """The secret of `secrets` under the reference's text."""
        if str(reference) not in self.secrets:
            raise PlatformError(f"secret {reference} is not known", code=ErrorCode.SECRET_UNRESOLVED)
        return self.secrets[str(reference)]

    async def file_published(self, file: PublishedFile) -> None:
        """Remember what the publisher reported."""
        self.published.append(file)

    async def execute(
        self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> Execution:
        """Run `argv` with this process's environment; its session is ended when the call is cancelled."""
        variables = {**os.environ, **self.environment, **(environment or {})}
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=cwd,
                env=variables,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(f"{argv[0]!r} can't be run: {error.strerror}; is it installed?") from error
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        self.output += output
        return Execution(process.returncode or 0, output[-TAIL:].decode(errors="replace"))
