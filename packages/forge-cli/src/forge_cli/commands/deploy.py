"""`forge deploy`: deploy a release to an environment."""

import click

from forge_cli.releases.projects import find_project
from forge_sdk.models.api import CreateDeployment


@click.command("deploy")
@click.argument("environment")
@click.argument("project")
@click.argument("release")
@click.option(
    "--allow-divergent",
    is_flag=True,
    help="Also where the release's commit doesn't descend from what is deployed; holds automatic deployments there.",
)
@click.option("--no-wait", is_flag=True, help="Return as soon as the deployment is accepted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    environment: str, project: str, release: str, *, allow_divergent: bool, no_wait: bool, as_json: bool
) -> int:
    """Deploy RELEASE of PROJECT to ENVIRONMENT.

    PROJECT is owner/repo/project, or the project alone inside a checkout; RELEASE is a number, an alias, a SHA, or 7 or
    more digits of one. Exit code: 0 it is active, 1 it failed or was refused.
    """
    from forge_cli.releases.deploying import deploy

    found = find_project(project)
    body = CreateDeployment(
        environment=environment,
        repository=found.repository,
        project=found.name,
        release=release,
        allow_divergent=allow_divergent,
    )
    return deploy(body, wait=not no_wait, as_json=as_json)
