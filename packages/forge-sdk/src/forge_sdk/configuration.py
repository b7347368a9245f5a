"""Configuration of the services: closed models, one YAML file each, overridden by `FORGE_<SECTION>__<KEY>`.

Secrets are given as the path of a file that holds them (`..._file`), never as values. Needs the extra `service`.
"""

import os
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import Field, JsonValue, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from forge_sdk.errors import ConfigurationError
from forge_sdk.models.base import ClosedModel
from forge_sdk.secret_files import read_secret_file as read_secret_file  # noqa: PLC0414 - part of this module, too
from forge_sdk.secrets import SecretReference

Settings = TypeVar("Settings", bound="ServiceConfiguration")


class Nats(ClosedModel):
    """Connection to NATS; times in seconds. `url` may name several servers of a cluster, with commas between them."""

    url: str = "nats://127.0.0.1:4222"
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    inbox_prefix: str = "_INBOX"
    replicas: int = Field(default=1, ge=1, le=5)
    ack_wait_s: float = Field(default=30.0, gt=0)


class Database(ClosedModel):
    """Connection to PostgreSQL; the password stands in a file of its own."""

    host: str = "127.0.0.1"
    port: int = 5432
    name: str = "forge"
    user: str = "forge"
    password_file: Path | None = None
    pool_size: int = Field(default=10, ge=1, le=200)


class Storage(ClosedModel):
    """An S3-compatible store; without `endpoint_url` it is Amazon S3, without key files the SDK's own chain is used."""

    endpoint_url: str | None = None
    region: str = "us-east-1"
    bucket: str = "catalyst-forge"
    access_key_file: Path | None = None
    secret_key_file: Path | None = None


class Registry(ClosedModel):
    """The OCI registry of tracking and release images; plain http is accepted on loopback only."""

    host: str
    plain_http: bool = False
    ca_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    tracking_prefix: str = ""
    release_prefix: str = ""


class Signing(ClosedModel):
    """Keys: one signs, several verify."""

    private_key_file: Path
    public_key_files: tuple[Path, ...] = ()


class Identity(ClosedModel):
    """The OIDC issuer whose tokens the API accepts."""

    issuer: str
    audience: str = "catalyst-forge"
    roles_claim: str = "roles"
    leeway_s: float = Field(default=30.0, ge=0, le=300)


class ClientCredentials(ClosedModel):
    """How a service gets its token."""

    token_url: str
    client_id: str
    client_secret_file: Path


class GitOps(ClosedModel):
    """The GitOps repository; `root` is the folder that holds the environments."""

    url: str
    branch: str = "main"
    root: str = ""
    author_name: str = "Catalyst Forge"
    author_email: str = "forge@localhost"
    credentials: SecretReference | None = None


class Log(ClosedModel):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class MetricsListen(ClosedModel):
    """Where a service without an API of its own shows its Prometheus metrics."""

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)


class Listen(ClosedModel):
    """Where a server listens, and the address under which others reach it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = "http://127.0.0.1:8080"


class Limits(ClosedModel):
    """What the API lets through, in all its replicas together.

    `repository_share` is the fraction of a pool's slots that the jobs of one repository may use; the others count
    creations of runs for each repository, look-ups of releases for each caller, deployments for each environment.
    """

    repository_share: float = Field(default=0.5, gt=0, le=1)
    runs_per_minute: int = Field(default=100, ge=1)
    release_reads_per_minute: int = Field(default=1000, ge=1)
    deployments_per_minute: int = Field(default=10, ge=1)


class Cache(ClosedModel):
    """Folders of a worker; sizes in bytes."""

    repositories: Path
    workspace: Path
    tools: Path
    repositories_size: int = Field(default=20 * 2**30, gt=0)


class ServiceConfiguration(BaseSettings):
    """What every service has. `plugins.<name>` is validated by the model that the plugin declares."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="FORGE_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    log: Log = Log()
    nats: Nats = Nats()
    storage: Storage = Storage()
    registry: Registry
    plugins: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic-settings'
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic-settings'
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment variables win over the file."""
        return (env_settings, init_settings)


class ApiConfiguration(ServiceConfiguration):
    """Configuration of the Platform API."""

    listen: Listen = Listen()
    database: Database = Database()
    identity: Identity
    gitops: GitOps
    environments_file: Path
    allow_local_repositories: bool = False
    limits: Limits = Limits()


class WorkerConfiguration(ServiceConfiguration):
    """Configuration of a worker; `pools` gives the number of jobs that run at once in each pool, times in seconds."""

    name: str = "worker"
    pools: dict[Literal["discovery", "ci", "artifact", "release"], int] = Field(min_length=1)
    api_url: str
    credentials: ClientCredentials
    signing: Signing
    gitops: GitOps
    cache: Cache
    allow_local_repositories: bool = False
    environment_passthrough: tuple[str, ...] = (
        "PIP_*",
        "UV_*",
        "GO*",
        "*_proxy",
        "*_PROXY",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
    )
    drain_grace_s: float = Field(default=30.0, ge=0)
    metrics: MetricsListen | None = None
    log_limit: int = Field(default=100 * 2**20, gt=0)

    @field_validator("pools")
    @classmethod
    def _positive(cls, pools: dict[str, int]) -> dict[str, int]:
        if any(slots < 1 for slots in pools.values()):
            raise ValueError("every pool needs at least one slot")
        return pools


def load(model: type[Settings], path: Path | None = None) -> Settings:
    """The configuration in `path` (default: `$FORGE_CONFIG`), overridden by the environment.

    Raises `ConfigurationError` that names the file and every field that is wrong.
    """
    file = path or (Path(os.environ["FORGE_CONFIG"]) if os.environ.get("FORGE_CONFIG") else None)
    if file is None:
        raise ConfigurationError(
            "no configuration file: give --config FILE or set FORGE_CONFIG", component="configuration"
        )
    if not file.is_file():
        raise ConfigurationError(
            f"configuration file {file} does not exist: write it, or give another with --config",
            component="configuration",
        )
    try:
        return model(**YamlConfigSettingsSource(model, yaml_file=file)())
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, found['loc'])) or 'file'}: {found['msg']}" for found in error.errors()
        )
        raise ConfigurationError(f"{file}: {problems}", component="configuration") from None
    except (yaml.YAMLError, ValueError, TypeError, OSError) as error:
        raise ConfigurationError(f"{file}: {error}", component="configuration") from error
