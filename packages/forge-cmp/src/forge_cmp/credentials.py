"""Credentials of the registry: from the environment, else from docker's configuration and its credential helpers."""

import base64
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from .errors import CmpError
from .settings import Settings

BEARER_TOKEN_USER = "<bearer>"  # noqa: S105 - our own mark of a token that the registry itself takes
IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - what credential helpers write as user name of an identity token
MAX_FILE_BYTES = 1024 * 1024
HELPER_TIMEOUT_S = 15.0
_HELPER = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Credentials(NamedTuple):
    """User name and password, and where they were found. Shows as `***`."""

    username: str
    password: str
    source: str

    def __repr__(self) -> str:
        """Never show the password."""
        return "Credentials(***)"

    @property
    def basic(self) -> str:
        """The value of a Basic authorization header."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def find_credentials(settings: Settings) -> Credentials | None:
    """The credentials for the registry of `settings`, `None` for anonymous access.

    Raises `CmpError` (`configuration_invalid`) for files that can't be read and helpers that fail.
    """
    if settings.username and settings.password_file:
        password = _read(Path(settings.password_file), "FORGE_REGISTRY_PASSWORD_FILE").decode().rstrip("\r\n")
        return Credentials(settings.username, password, "FORGE_REGISTRY_USERNAME")
    if settings.token_file:
        token = _read(Path(settings.token_file), "FORGE_REGISTRY_TOKEN_FILE").decode().strip()
        return Credentials(BEARER_TOKEN_USER, token, "FORGE_REGISTRY_TOKEN_FILE")
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    if not path.exists():
        return None
    try:
        return _from_docker(json.loads(_read(path, str(path))), settings.registry, str(path))
    except (ValueError, AttributeError, TypeError, KeyError):
        # Without its cause: a parser's message may quote a credential.
        raise CmpError("configuration_invalid", "is not docker's configuration", file=str(path)) from None


def _from_docker(value: Any, host: str, path: str) -> Credentials | None:
    helper = (value.get("credHelpers") or {}).get(host) or value.get("credsStore")
    entry = (value.get("auths") or {}).get(host) or {}
    if entry.get("identitytoken"):
        return Credentials(IDENTITY_TOKEN_USER, entry["identitytoken"], path)
    if entry.get("auth"):
        username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        return Credentials(username, password, path)
    if entry.get("username"):
        return Credentials(entry["username"], entry["password"], path)
    return _from_helper(helper, host) if helper else None


def _from_helper(name: str, host: str) -> Credentials | None:
    import subprocess

    program = f"docker-credential-{name}"
    if not _HELPER.fullmatch(name):
        raise CmpError("configuration_invalid", f"{name[:100]!r} is not the name of a credential helper", file=program)
    try:
        done = subprocess.run(
            [program, "get"], input=host.encode(), capture_output=True, timeout=HELPER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CmpError("configuration_invalid", f"can't be run: {type(error).__name__}", file=program) from error
    if done.returncode != 0 and b"credentials not found" in done.stdout:
        return None
    if done.returncode != 0:
        raise CmpError("configuration_invalid", f"failed with exit status {done.returncode}", file=program)
    answer = json.loads(done.stdout)
    return Credentials(answer["Username"], answer["Secret"], program)


def _read(path: Path, file: str) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES)
    except OSError as error:
        raise CmpError("configuration_invalid", f"{path} can't be read: {error.strerror}", file=file) from error
