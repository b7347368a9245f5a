"""Credentials of git for the time of a call.

A secret that starts with `-----BEGIN` is an SSH private key; lines after it are the known hosts (as in `known_hosts(5)`), without which
the machine's own decide. Any other secret is for https: `user:password`, or a token alone.
"""

import asyncio
import shlex
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from forge_sdk.errors import ConfigurationError
from forge_sdk.secrets import Secret
from forge_worker.git.command import Git

TOKEN_USER = "x-access-token"  # noqa: S105 - the user name that GitHub wants beside a token
_BEGIN, _END = "-----BEGIN", "-----END"
_ASKPASS = '#!/bin/sh\ncase "$1" in\nUsername*) exec cat {user} ;;\n*) exec cat {password} ;;\nesac\n'


@asynccontextmanager
async def authenticated(git: Git, credentials: Secret | None) -> AsyncIterator[Git]:
    """`git` with `credentials`, which lie in a private folder until the context ends; `None` leaves it as it is."""
    if credentials is None:
        yield git
        return
    with tempfile.TemporaryDirectory(prefix="forge-git-") as name:
        prepare = _ssh if credentials.reveal().lstrip().startswith(_BEGIN) else _askpass
        environment, parts = await asyncio.to_thread(prepare, Path(name), credentials.reveal().strip())
        yield replace(git, environment={**git.environment, **environment}, secrets=(*git.secrets, credentials, *parts))


def _askpass(folder: Path, value: str) -> tuple[dict[str, str], tuple[Secret, ...]]:
    user, separator, password = value.partition(":")
    if not separator:
        user, password = TOKEN_USER, value
    files = {name: _private(folder / name, text + "\n") for name, text in (("user", user), ("password", password))}
    script = _private(
        folder / "askpass", _ASKPASS.format(**{name: shlex.quote(str(path)) for name, path in files.items()})
    )
    script.chmod(0o700)
    # A redirect to another host would be given the password too.
    return {"GIT_ASKPASS": str(script), **_setting("http.followRedirects", "false")}, (Secret(password),)


def _ssh(folder: Path, value: str) -> tuple[dict[str, str], tuple[Secret, ...]]:
    start = value.find(_END)
    end = value.find("\n", start) if start >= 0 else -1
    if start < 0:
        raise ConfigurationError(
            "the SSH key of git_credentials has no END line: store the whole file", component="git"
        )
    key, known = (value, "") if end < 0 else (value[:end], value[end + 1 :])
    path = _private(folder / "id", key.strip() + "\n")
    options = ["-F", "/dev/null", "-i", str(path), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    options += ["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=15"]
    if known.strip():
        options += ["-o", f"UserKnownHostsFile={_private(folder / 'known_hosts', known + chr(10))}"]
    return {"GIT_SSH_COMMAND": shlex.join(["ssh", *options])}, ()


def _setting(key: str, value: str) -> dict[str, str]:
    return {"GIT_CONFIG_PARAMETERS": f"'{key}'='{value}'"}


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path
