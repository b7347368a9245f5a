"""Secrets in files of their own, which only their owner may read."""

import os
import stat
from pathlib import Path

from forge_sdk.errors import ConfigurationError
from forge_sdk.secrets import Secret

MAX_SECRET_FILE = 65_536


def read_secret_file(path: Path) -> Secret:
    """The secret in `path`, which only its owner may read; a trailing newline is dropped.

    Raises `ConfigurationError` where the file can't be read, is readable by others or is too large.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(MAX_SECRET_FILE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"secret file {path} can't be read: {error.strerror}", component="configuration"
        ) from error
    if mode & 0o077:
        raise ConfigurationError(
            f"secret file {path} is readable by others (mode {mode:o}): chmod 600 {path}", component="configuration"
        )
    if len(data) > MAX_SECRET_FILE:
        raise ConfigurationError(
            f"secret file {path} is larger than {MAX_SECRET_FILE} bytes", component="configuration"
        )
    return Secret(data.decode(errors="surrogateescape").rstrip("\n"))
