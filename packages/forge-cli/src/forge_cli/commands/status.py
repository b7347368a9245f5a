"""`forge status`: what of the embedded platform runs."""

import json
from pathlib import Path

import click

from forge_cli.exits import Exit
from forge_cli.layout import Layout, http_url
from forge_cli.supervision import lack_of_space, read_state, running
from forge_cli.tables import print_table


@click.command("status")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data directory (default: $FORGE_HOME, else below $XDG_DATA_HOME)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(data: Path | None, as_json: bool) -> int:
    """Show the services of the embedded platform.

    Exit code: 0 all run, 1 some don't, 3 no platform runs.
    """
    layout = Layout(data) if data else Layout.default()
    pid, services = running(layout), read_state(layout)
    platform = layout.read_platform()
    if pid is None or platform is None:
        click.echo(
            json.dumps({"running": False, "data": str(layout.data)})
            if as_json
            else f"no platform runs in {layout.data}"
        )
        return Exit.UNREACHABLE
    if as_json:
        shown = {name: service.model_dump(mode="json") for name, service in services.items()}
        click.echo(
            json.dumps(
                {
                    "running": True,
                    "pid": pid,
                    "data": str(layout.data),
                    "api": http_url(platform.ports.api),
                    "services": shown,
                },
                indent=2,
            )
        )
    else:
        click.echo(f"platform in {layout.data}, supervisor {pid}")
        print_table(
            ("service", "status", "pid", "restarts", "address"),
            [
                (name, service.status, str(service.pid or ""), str(service.restarts), service.address)
                for name, service in services.items()
            ],
        )
        problems = [f"{name}: {service.problem}" for name, service in services.items() if service.problem]
        for problem in (*problems, lack_of_space(layout)):
            if problem:
                click.echo(problem)
    return Exit.SUCCESS if all(service.status == "running" for service in services.values()) else Exit.FAILED
