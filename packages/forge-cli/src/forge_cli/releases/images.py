"""Release images, read from the platform's registry."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_cli.layout import LOOPBACK, Layout
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError

if TYPE_CHECKING:
    from forge_oci.core.release import Release as ReleaseContent
    from forge_oci.registry import RegistryClient

MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class RegistryPlace:
    """A registry, and the files of the keys whose signatures count."""

    host: str
    plain_http: bool
    key_files: tuple[Path, ...]


def find_registry(
    host: str | None = None, keys: Sequence[Path] = (), environment: Mapping[str, str] = os.environ
) -> RegistryPlace:
    """The registry `host`, else `$FORGE_REGISTRY` with the variables of `forge-cmp`, else that of the embedded platform."""
    plain_http = environment.get("FORGE_REGISTRY_PLAIN_HTTP", "").lower() in {"1", "true", "yes"}
    named = [Path(name) for name in environment.get("FORGE_PUBLIC_KEY_FILES", "").split(",") if name.strip()]
    host = host or environment.get("FORGE_REGISTRY")
    layout = Layout.default()
    found = layout.read_platform()
    key_files = tuple(keys) or tuple(named) or ((layout.public_key,) if found is not None else ())
    if host is not None:
        return RegistryPlace(host, plain_http, key_files)
    if found is None:
        raise ConfigurationError("no registry is known: give --registry, or set FORGE_REGISTRY")
    return RegistryPlace(f"{LOOPBACK}:{found.ports.registry}", True, key_files)


@asynccontextmanager
async def registry(place: RegistryPlace) -> "AsyncIterator[RegistryClient]":
    """A client of the registry; raises `ConfigurationError` where what it needs is not installed."""
    try:
        from forge_oci.registry import RegistryClient
    except ImportError as error:
        raise ConfigurationError("reading images needs more: pip install 'catalyst-forge-cli[registry]'") from error
    async with RegistryClient(place.host, plain_http=place.plain_http) as client:
        yield client


async def pull_release(client: "RegistryClient", oci_uri: str, digest: str) -> "ReleaseContent":
    """Metadata and rendered files of a release image; raises `registry_failed` for what is no release image."""
    from forge_oci.core.errors import OciError
    from forge_oci.core.release import unpack_release

    image = await client.pull(oci_uri.rpartition(":")[0], digest, max_bytes=MAX_BYTES)
    try:
        return unpack_release(image)
    except OciError as error:
        raise PlatformError(
            f"{oci_uri}@{digest} is no release image: {error}", code=ErrorCode.REGISTRY_FAILED, component="registry"
        ) from error


def documents(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The Kubernetes objects of rendered files, in the order of their names."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = [document for name in sorted(files) for document in yaml.load_all(files[name], Loader=loader)]
    return [document for document in found if isinstance(document, dict)]
