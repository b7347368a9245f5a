"""The services of the embedded platform and how each is told where the others are."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from forge_cli.layout import LOOPBACK, Layout, Ports, http_url
from forge_cli.up.first_start import local_user, nats_secret
from forge_cli.up.issuer import Client, Issuer
from forge_sdk.nats_permissions import PERMISSIONS
from forge_servers import NatsServer, NatsSettings, NatsUser, PostgresServer, RegistryServer, S3Server
from forge_servers.process import Command

BUCKET = "catalyst-forge"
ALL_ROLES = ("developer", "approver", "operator")
DATABASE = "forge"


def postgres(layout: Layout, ports: Ports) -> PostgresServer:
    """The database server."""
    return PostgresServer(layout.service("postgres"), ports.postgres)


def nats(layout: Layout, ports: Ports) -> NatsServer:
    """The message server, with one user for each service."""
    users = tuple(
        NatsUser(
            name=service,
            password=nats_secret(layout, service).read_text(),
            publish=permissions.publish,
            subscribe=permissions.subscribe,
        )
        for service, permissions in PERMISSIONS.items()
    )
    return NatsServer(
        layout.service("nats"), ports.nats, settings=NatsSettings(users=users), monitoring_port=ports.nats_monitoring
    )


def object_storage(layout: Layout, ports: Ports) -> S3Server:
    """The S3 server."""
    return S3Server(layout.service("s3"), ports.s3)


def registry(layout: Layout, ports: Ports) -> RegistryServer:
    """The OCI registry."""
    return RegistryServer(layout.service("registry"), ports.registry)


def issuer(layout: Layout, ports: Ports) -> Issuer:
    """The local OIDC issuer: the person has every role, services have theirs."""
    clients = {
        "user": Client(local_user(), ALL_ROLES, layout.client_secret("user")),
        "worker": Client("service:worker", ("service-account",), layout.client_secret("worker")),
        "dispatcher": Client("service:dispatcher", ("service-account",), layout.client_secret("dispatcher")),
    }
    return Issuer(http_url(ports.issuer), layout.keys / "issuer.key", clients)


def api(layout: Layout, ports: Ports, storage: S3Server) -> Command:
    """The Platform API."""
    variables = {
        **_shared(layout, ports, storage, "api"),
        "FORGE_LISTEN__HOST": LOOPBACK,
        "FORGE_LISTEN__PORT": str(ports.api),
        "FORGE_LISTEN__PUBLIC_URL": http_url(ports.api),
        "FORGE_DATABASE__HOST": LOOPBACK,
        "FORGE_DATABASE__PORT": str(ports.postgres),
        "FORGE_DATABASE__NAME": DATABASE,
        "FORGE_DATABASE__USER": "forge",
        "FORGE_DATABASE__PASSWORD_FILE": str(layout.service("postgres") / "password"),
        "FORGE_IDENTITY__ISSUER": http_url(ports.issuer),
        "FORGE_ENVIRONMENTS_FILE": str(layout.config / "environments.yaml"),
    }
    arguments: list[str | Path] = [
        sys.executable,
        "-m",
        "forge_api",
        "serve",
        "--migrate",
        "--config",
        layout.config / "api.yaml",
    ]
    return _command(layout, "api", arguments, variables)


def worker(layout: Layout, ports: Ports, storage: S3Server) -> Command:
    """The worker, with all pools."""
    cache = layout.data / "cache"
    variables = {
        **_shared(layout, ports, storage, "worker"),
        "FORGE_API_URL": http_url(ports.api),
        "FORGE_CREDENTIALS__TOKEN_URL": f"{http_url(ports.issuer)}/token",
        "FORGE_CREDENTIALS__CLIENT_ID": "worker",
        "FORGE_CREDENTIALS__CLIENT_SECRET_FILE": str(layout.client_secret("worker")),
        "FORGE_SIGNING__PRIVATE_KEY_FILE": str(layout.keys / "signing.key"),
        "FORGE_SIGNING__PUBLIC_KEY_FILES": f'["{layout.public_key}"]',
        "FORGE_CACHE__REPOSITORIES": str(cache / "repositories"),
        "FORGE_CACHE__WORKSPACE": str(layout.data / "workspace"),
        "FORGE_CACHE__TOOLS": str(cache / "tools"),
        "FORGE_PLUGINS": f'{{"local": {{"file": "{layout.secrets_file}"}}}}',
    }
    arguments: list[str | Path] = [sys.executable, "-m", "forge_worker", "--config", layout.config / "worker.yaml"]
    return _command(layout, "worker", arguments, variables)


def _shared(layout: Layout, ports: Ports, storage: S3Server, name: str) -> Mapping[str, str]:
    return {
        "FORGE_NATS__URL": f"nats://{LOOPBACK}:{ports.nats}",
        "FORGE_NATS__USER": name,
        "FORGE_NATS__PASSWORD_FILE": str(nats_secret(layout, name)),
        "FORGE_NATS__INBOX_PREFIX": PERMISSIONS[name].inbox_prefix,
        "FORGE_STORAGE__ENDPOINT_URL": storage.endpoint_url,
        "FORGE_STORAGE__REGION": storage.region,
        "FORGE_STORAGE__BUCKET": BUCKET,
        "FORGE_STORAGE__ACCESS_KEY_FILE": str(layout.keys / "s3-access-key.secret"),
        "FORGE_STORAGE__SECRET_KEY_FILE": str(storage.directory / "secret"),
        "FORGE_REGISTRY__HOST": f"{LOOPBACK}:{ports.registry}",
        "FORGE_REGISTRY__PLAIN_HTTP": "true",
        "FORGE_GITOPS__URL": layout.gitops.as_uri(),
        "FORGE_ALLOW_LOCAL_REPOSITORIES": "true",
    }


def _command(layout: Layout, name: str, arguments: Sequence[str | Path], variables: Mapping[str, str]) -> Command:
    # Steps find the tools of this environment (uv, build backends) beside its interpreter.
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("FORGE_", "VIRTUAL_ENV", "PYTHON")) or key.startswith("FORGE_SECRET_")
    }
    return Command(
        arguments=arguments,
        log_file=layout.logs / f"{name}.log",
        working_directory=layout.data,
        environment={**inherited, **variables, "PATH": search},
    )
