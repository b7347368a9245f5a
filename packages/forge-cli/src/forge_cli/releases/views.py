"""Releases, ledgers and deployments as tables."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import click

from forge_cli.tables import print_table
from forge_sdk.models.api import Deployment, Publication, Release

STYLES = {
    "published": "green",
    "identical": "green",
    "failed": "red",
    "conflict": "red",
    "given-up": "yellow",
    "planned": "yellow",
}
MARKUP_SAFE = str.maketrans({"[": "\\["})


def show_releases(releases: Iterable[Release]) -> None:
    """One line for each release."""
    print_table(
        ("number", "commit", "status", "aliases", "triggers", "active in", "created"),
        [
            (
                str(release.release_number),
                release.commit_sha[:12],
                release.status,
                ", ".join(_aliases(release)),
                ", ".join(sorted({trigger.trigger_type.value for trigger in release.triggers})),
                ", ".join(found.environment for found in release.deployments if found.status == "active"),
                moment(release.created_at),
            )
            for release in releases
        ],
    )


def show_release(release: Release) -> None:
    """A release, its artifacts, what reached the world, and where it was deployed."""
    facts = [
        ("release", f"{release.canonical_id}, number {release.release_number}, {release.status}"),
        ("aliases", ", ".join(_aliases(release)) or "none"),
        ("image", f"{release.oci_uri} ({release.oci_digest})"),
        ("created", f"{moment(release.created_at)} by {release.created_by}"),
        *(
            (f"artifact {found.name}", f"{found.tracking_oci_uri} ({found.tracking_oci_digest})")
            for found in release.artifacts
        ),
    ]
    for name, value in facts:
        click.echo(f"{name}: {value}")
    if release.publications:
        click.echo("")
        show_ledger(release.publications)
    if release.deployments:
        click.echo("")
        show_deployments(release.deployments)


def show_ledger(rows: Sequence[Publication]) -> None:
    """What reached the world: one line for each file and publisher."""
    print_table(
        ("artifact", "publisher", "file", "state", "where, or why not"),
        [
            (
                row.artifact,
                row.publisher,
                _safe(row.file),
                f"[{STYLES.get(row.state, 'default')}]{row.state}[/]",
                _safe(row.error.message if row.error is not None else row.uri),
            )
            for row in rows
        ],
    )


def show_deployments(deployments: Iterable[Deployment]) -> None:
    """One line for each deployment."""
    print_table(
        ("environment", "project", "release", "commit", "status", "by", "since", "pointer commit"),
        [
            (
                found.environment,
                f"{found.repository}/{found.project}",
                str(found.release_number),
                found.commit_sha[:12],
                found.status + (f" ({found.intent})" if found.intent else ""),
                _safe(found.deployed_by),
                moment(found.deployed_at or found.created_at),
                (found.gitops_commit_sha or "")[:12],
            )
            for found in deployments
        ],
    )


def moment(at: datetime) -> str:
    """A time in the zone of this machine."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _aliases(release: Release) -> list[str]:
    return [found.alias for found in release.aliases if found.type != "numeric"]


def _safe(text: str) -> str:
    """Text of others, in which brackets are no markup and which stays on one line."""
    return " ".join(text.split()).translate(MARKUP_SAFE)
