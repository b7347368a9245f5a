"""`forge rollback`: go back to an earlier release."""

import click

from forge_cli.releases.projects import find_project
from forge_sdk.models.api import CreateDeployment


@click.command("rollback")
@click.argument("environment")
@click.argument("project")
@click.argument("release", required=False)
@click.option("--no-wait", is_flag=True, help="Return as soon as the deployment is accepted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(environment: str, project: str, release: str | None, no_wait: bool, as_json: bool) -> int:
    """Deploy RELEASE of PROJECT (default: the one that was active before) to ENVIRONMENT again.

    Automatic deployments of the project there are held until `forge env hold lift`. Exit code: 0 it is active, 1 it
    failed or was refused.
    """
    from forge_cli.releases.deploying import deploy

    found = find_project(project)
    body = CreateDeployment(
        environment=environment, repository=found.repository, project=found.name, release=release, rollback=True
    )
    return deploy(body, wait=not no_wait, as_json=as_json)
