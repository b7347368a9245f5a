"""Looks a secret up in a TOML file that only its owner may read, or in the environment of the worker."""

import asyncio
import os
import stat
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.base import ClosedModel
from forge_sdk.plugins import ResolverContext
from forge_sdk.secrets import Secret, SecretReference

MAX_FILE = 1 << 20


class LocalReference(ClosedModel):
    """Fields of a reference with `provider: "local"`: exactly one of `key` (in the file) and `variable` (of the environment).

    The field is not called `env`: in a step's list of secrets `env` names the variable that the step gets.
    """

    key: str | None = Field(default=None, min_length=1, max_length=255)
    variable: str | None = Field(default=None, pattern=r"^FORGE_SECRET_[A-Z0-9_]+$")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.key is None) == (self.variable is None):
            raise ValueError("give exactly one of key and variable")
        return self


class LocalSettings(ClosedModel):
    """Settings `plugins.local`: `file` is TOML, one line `"name" = "value"` for each secret, mode 0600."""

    file: Path | None = None


class LocalResolver:
    """Resolves references with `provider: "local"`."""

    name = "local"
    configuration = LocalReference
    settings = LocalSettings
    schema = """{
	// Name in the file that the platform's settings give.
	key?: string
	// Environment variable of the worker.
	variable?: =~"^FORGE_SECRET_[A-Z0-9_]+$"
}"""

    async def resolve(self, reference: SecretReference, context: ResolverContext) -> Secret:
        """The value in the file or in the environment."""
        try:
            fields = LocalReference.model_validate(reference.fields)
        except ValidationError as error:
            raise ConfigurationError(f"secret reference {reference}: {error.errors()[0]['msg']}") from error
        if fields.variable is not None:
            return _from_environment(reference, fields.variable)
        file = context.settings.file if isinstance(context.settings, LocalSettings) else None
        if file is None:
            raise _unresolved(reference, "no file is configured: set plugins.local.file")
        return await asyncio.to_thread(_from_file, reference, file, fields.key or "")


def _from_environment(reference: SecretReference, variable: str) -> Secret:
    value = os.environ.get(variable)
    if value is None:
        raise _unresolved(reference, f"{variable} is not set in the environment of the worker")
    return Secret(value)


def _from_file(reference: SecretReference, file: Path, key: str) -> Secret:
    # It takes long to import, and the plugin is loaded also where no secret is resolved.
    import tomllib

    try:
        with file.open("rb") as stream:
            if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                raise _unresolved(reference, f"{file} is readable by others: chmod 600 {file}")
            values = tomllib.loads(stream.read(MAX_FILE).decode())
    except OSError as error:
        raise _unresolved(reference, f"{file} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _unresolved(reference, f"{file} is not valid TOML") from error
    value = values.get(key)
    if not isinstance(value, str):
        raise _unresolved(reference, f'{file} has no line for it: add "{key}" = "..."')
    return Secret(value)


def _unresolved(reference: SecretReference, reason: str) -> PlatformError:
    return PlatformError(
        f"secret {reference} can't be resolved: {reason}", code=ErrorCode.SECRET_UNRESOLVED, component="secrets-local"
    )
