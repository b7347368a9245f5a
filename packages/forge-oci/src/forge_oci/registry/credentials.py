"""Credentials of a registry: given, from a function, or from docker's configuration."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from forge_sdk.errors import ConfigurationError

COMPONENT = "registry"
IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - what credential helpers write as user name of an identity token


class Credentials(NamedTuple):
    """User name and password; the user name `<token>` marks an identity (refresh) token. Shows as `***`."""

    username: str
    password: str

    def __repr__(self) -> str:
        """Never show the password."""
        return "Credentials(***)"

    @property
    def basic(self) -> str:
        """The value of a Basic authorization header."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


CredentialSource = Callable[[str], Credentials | None]
"""Called with the registry's host, in a thread, whenever the registry asks; None means anonymous."""


def decode_basic(value: str) -> Credentials:
    """Return the credentials of a base64 `user:password`, as docker's configuration holds them."""
    username, _, password = base64.b64decode(value).decode().partition(":")
    return Credentials(username, password)


def docker_configuration() -> dict[str, Any]:
    """Return docker's configuration: of `$DOCKER_CONFIG`, else of the home directory; empty where there is none.

    Raises `ConfigurationError` for a file that isn't JSON.
    """
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        value = {}
    except (OSError, ValueError):
        # Without its cause: a parser's message may quote a credential.
        raise ConfigurationError(f"{path} cannot be read as JSON: correct or remove it", component=COMPONENT) from None
    value = value if isinstance(value, dict) else {}
    return {key: value.get(key) or {} for key in ("auths", "credHelpers")} | {"credsStore": value.get("credsStore")}
