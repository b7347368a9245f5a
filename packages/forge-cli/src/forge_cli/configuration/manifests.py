"""Writes manifests into a folder: each file whole or not at all."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from forge_sdk.errors import ConfigurationError


def write_manifests(folder: Path, manifests: Mapping[str, bytes]) -> list[str]:
    """Writes the files below `folder`, which is made where it isn't there; gives the other manifests that it holds.

    Raises `ConfigurationError` where the folder can't be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".forge-render-") as fresh:
            for name, content in manifests.items():
                Path(fresh, name).write_bytes(content)
            for name in manifests:
                Path(fresh, name).replace(folder / name)
        return sorted(path.name for path in folder.glob("*.yaml") if path.name not in manifests)
    except OSError as error:
        raise ConfigurationError(f"the manifests can't be written to {folder}: {error.strerror}") from error
