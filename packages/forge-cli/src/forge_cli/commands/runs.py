"""`forge runs`: list runs."""

import click

from forge_cli.exits import Exit
from forge_cli.session import call
from forge_cli.tables import print_table
from forge_sdk.models.statuses import RunStatus


@click.command("runs")
@click.option("--repository", help="Only runs of this repository (owner/name).")
@click.option("--branch", help="Only runs of this branch.")
@click.option("--commit", help="Only runs of this commit (all 40 digits).")
@click.option("--status", type=click.Choice([status.value for status in RunStatus]), help="Only runs with this status.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    repository: str | None,
    branch: str | None,
    commit: str | None,
    status: str | None,
    limit: int,
    as_json: bool,
) -> int:
    """List runs, newest first."""
    wanted = RunStatus(status) if status else None
    page = call(
        lambda client: client.runs(repository=repository, branch=branch, commit_sha=commit, status=wanted, limit=limit)
    )
    if as_json:
        click.echo(page.model_dump_json(indent=2))
        return Exit.SUCCESS
    print_table(
        ("run", "repository", "commit", "branch", "attempt", "status", "created"),
        [
            (
                str(run.id),
                run.repository,
                run.commit_sha[:12],
                run.branch or run.tag or "",
                str(run.attempt),
                run.status,
                f"{run.created_at.astimezone():%Y-%m-%d %H:%M:%S}",
            )
            for run in page.items
        ],
    )
    if page.next_cursor is not None:
        click.echo("there are more: give a higher --limit, or --repository, --branch, --commit, --status", err=True)
    return Exit.SUCCESS
