"""The data directory of the embedded platform: where everything is, and what the first start decided."""

import json
import os
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from forge_sdk.errors import ConfigurationError
from forge_sdk.models.base import ClosedModel

FORMAT = 1
"""Version of the data directory; a newer one is refused."""
LOOPBACK = "127.0.0.1"


class Ports(ClosedModel):
    """Loopback ports, chosen at the first start and kept."""

    postgres: int
    nats: int
    nats_monitoring: int
    s3: int
    registry: int
    issuer: int
    api: int


class PlatformFile(ClosedModel):
    """Content of `platform.json`."""

    format: int
    version: str
    ports: Ports


class Layout:
    """Paths below one data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()

    @classmethod
    def default(cls) -> Self:
        """`$FORGE_HOME`, else `catalyst-forge` below `$XDG_DATA_HOME`."""
        home = os.environ.get("FORGE_HOME")
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "catalyst-forge"
        return cls(Path(home) if home else data)

    @property
    def platform_file(self) -> Path:
        """Ports and versions."""
        return self.data / "platform.json"

    @property
    def lock_file(self) -> Path:
        """Locked by the supervisor as long as it runs; holds its process id."""
        return self.data / "supervisor.lock"

    @property
    def state_file(self) -> Path:
        """What the supervisor knows of each service."""
        return self.data / "state.json"

    @property
    def logs(self) -> Path:
        """Logs of the services of ours."""
        return self.data / "logs"

    @property
    def config(self) -> Path:
        """Configuration files, written at the first start and never overwritten."""
        return self.data / "config"

    @property
    def keys(self) -> Path:
        """Signing key pair and key of the issuer."""
        return self.data / "keys"

    @property
    def gitops(self) -> Path:
        """The GitOps repository (bare)."""
        return self.data / "gitops.git"

    @property
    def secrets_file(self) -> Path:
        """Values of secret references with `provider: "local"`."""
        return self.data / "secrets.toml"

    @property
    def public_key(self) -> Path:
        """Key that verifies release and tracking images."""
        return self.keys / "signing.pub"

    def client_secret(self, client: str) -> Path:
        """Secret of a client of the local issuer."""
        return self.keys / f"client-{client}.secret"

    def service(self, name: str) -> Path:
        """Folder of a server's data."""
        return self.data / "services" / name

    def read_platform(self) -> PlatformFile | None:
        """What the first start decided, `None` before it; a `ConfigurationError` for files of a newer version or broken ones."""
        try:
            content = json.loads(self.platform_file.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self.platform_file} can't be read: {error}") from error
        if isinstance(content, dict) and content.get("format", 0) > FORMAT:
            raise ConfigurationError(
                f"{self.data} was made by version {content.get('version')} of the platform, which is newer: upgrade catalyst-forge-cli"
            )
        try:
            return PlatformFile.model_validate(content)
        except ValidationError as error:
            raise ConfigurationError(
                f"{self.platform_file} is damaged: restore it, or start anew with another FORGE_HOME"
            ) from error


def http_url(port: int) -> str:
    """The address of a service on this machine."""
    return f"http://{LOOPBACK}:{port}"
