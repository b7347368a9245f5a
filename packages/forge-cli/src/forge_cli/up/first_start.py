"""What the first start makes: ports, keys, secrets, configuration, the GitOps repository. Everything is kept afterwards."""

import getpass
import importlib.metadata
import subprocess
import tempfile
from pathlib import Path

from forge_cli.files import secret_once, write_once, write_private
from forge_cli.layout import FORMAT, Layout, PlatformFile, Ports
from forge_oci.core.keys import PrivateKey, write_key_pair
from forge_sdk.errors import ConfigurationError
from forge_sdk.nats_permissions import PERMISSIONS
from forge_servers import free_port

CLIENTS = ("user", "worker", "dispatcher")
ENVIRONMENTS = """\
# Environments that releases are deployed to, and the policy of each. Changes are noticed while the platform runs.
environments:
  dev:
    promotion_policy:
      allowed_triggers: [branch_push, tag, manual]
      auto_deploy: true
  production:
    promotion_policy:
      allowed_triggers: [branch_push, tag, manual]
      after: [dev]
"""
API = """\
# Configuration of the API of this platform; written once, yours to change. Ports and addresses come from platform.json.
# Fraction of each pool's slots that the jobs of one repository may take: on one person's machine no slot stays idle.
limits: {repository_share: 1.0}
log: {level: info}
"""
WORKER = """\
# Configuration of the worker of this platform; written once, yours to change. Ports and addresses come from platform.json.
# Jobs that run at once, by pool:
pools: {discovery: 2, ci: 2, artifact: 2, release: 2}
log: {level: info}
"""
SECRETS = """\
# Values of secret references with provider "local", one line each: "publishers/pypi/token" = "..."
"""
ENVIRONMENT_CONFIG = """\
apiVersion: apiextensions.crossplane.io/v1beta1
kind: EnvironmentConfig
metadata:
  name: {name}
  labels:
    forge.projectcatalyst.io/environment: {name}
data:
  name: {name}
  domain: {name}.localhost
  provider: onprem
  profile: {name}
"""


def prepare(layout: Layout, *, new_ports: bool) -> PlatformFile:
    """Make what is missing below `layout.data` and say what is there."""
    version = importlib.metadata.version("catalyst-forge-cli")
    known = layout.read_platform()
    platform = PlatformFile(format=FORMAT, version=version, ports=known.ports if known and not new_ports else _ports())
    for client in CLIENTS:
        secret_once(layout.client_secret(client))
    for user in PERMISSIONS:
        secret_once(nats_secret(layout, user))
    _signing_keys(layout)
    write_once(layout.config / "environments.yaml", ENVIRONMENTS)
    write_once(layout.config / "api.yaml", API)
    write_once(layout.config / "worker.yaml", WORKER)
    write_once(layout.secrets_file, SECRETS)
    _gitops_repository(layout.gitops)
    if platform != known:
        write_private(layout.platform_file, platform.model_dump_json(indent=2))
    return platform


def nats_secret(layout: Layout, user: str) -> Path:
    """Password of a service on NATS."""
    return layout.keys / f"nats-{user}.secret"


def local_user() -> str:
    """Name of the person who runs the platform, as it stands in tokens and audit events."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "local"


def _ports() -> Ports:
    names = list(Ports.model_fields)
    chosen: set[int] = set()
    while len(chosen) < len(names):
        chosen.add(free_port())
    return Ports(**dict(zip(names, chosen, strict=True)))


def _signing_keys(layout: Layout) -> None:
    private = layout.keys / "signing.key"
    if not private.exists():
        write_key_pair(private, layout.public_key)
    write_once(layout.public_key, PrivateKey.from_file(private).public_key.pem.decode())


def _gitops_repository(path: Path) -> None:
    if (path / "refs" / "heads" / "main").exists() or (path / "packed-refs").exists():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".gitops-") as folder:
        work, bare = Path(folder) / "work", Path(folder) / "bare"
        _git("init", "--quiet", "--initial-branch=main", str(work))
        for name in ("dev", "production"):
            (work / name).mkdir()
            (work / name / "env.yml").write_text(ENVIRONMENT_CONFIG.format(name=name))
        _git("-C", str(work), "add", ".")
        author = ("-c", "user.name=Catalyst Forge", "-c", "user.email=forge@localhost", "-c", "commit.gpgsign=false")
        _git("-C", str(work), *author, "commit", "--quiet", "-m", "Environments dev and production")
        _git("clone", "--quiet", "--bare", str(work), str(bare))
        bare.rename(path)


def _git(*arguments: str) -> None:
    try:
        subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, timeout=60)
    except FileNotFoundError as error:
        raise ConfigurationError("git is not installed: install it first") from error
    except subprocess.CalledProcessError as error:
        raise ConfigurationError(f"git {arguments[0]} failed: {error.stderr.strip()}") from error
