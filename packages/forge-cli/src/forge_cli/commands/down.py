"""`forge down`: stop the embedded platform."""

import shutil
from pathlib import Path

import click

from forge_cli.exits import Exit
from forge_cli.layout import Layout
from forge_cli.supervision import running, stop


@click.command("down")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data directory (default: $FORGE_HOME, else below $XDG_DATA_HOME)."
)
@click.option("--purge", is_flag=True, help="Delete the data directory too.")
def command(data: Path | None, purge: bool) -> int:
    """Stop the embedded platform in order. Runs that are under way go on at the next start."""
    layout = Layout(data) if data else Layout.default()
    known = layout.read_platform() is not None
    pid = running(layout)
    if pid is None:
        click.echo(f"no platform runs in {layout.data}")
    else:
        stop(layout, pid)
        click.echo(f"stopped the platform in {layout.data}")
    if purge and known:
        shutil.rmtree(layout.data)
        click.echo(f"deleted {layout.data}")
    return Exit.SUCCESS
