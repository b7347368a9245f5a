"""The discovery document for a person."""

from collections.abc import Iterator, Sequence

from forge_cli.configuration.diagnostics import printable
from forge_sdk.models.discovery import (
    ArtifactDefinition,
    DiscoveredProject,
    DiscoveryDocument,
    MatchedTrigger,
    PhaseDefinition,
    RepositoryConfiguration,
)
from forge_sdk.models.jobs import GitContext

HOUR, MINUTE = 3600, 60


def overview(document: DiscoveryDocument, git: GitContext) -> Iterator[str]:
    """The lines to print for a document that was discovered with `git`."""
    for line in _lines(document, git):
        yield printable(line)


def duration(seconds: float) -> str:
    """A span of time as configurations write it: `90s` is `1m30s`."""
    hours, rest = divmod(round(seconds), HOUR)
    minutes, left = divmod(rest, MINUTE)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _lines(document: DiscoveryDocument, git: GitContext) -> Iterator[str]:
    if document.repository is not None:
        yield from _repository(document, document.repository)
    for project in document.projects:
        yield ""
        yield f"project {project.name} in {project.path}"
        yield from _indented(_project(project))
    yield ""
    released = ", ".join(document.release_projects) or "nothing"
    yield f"a run of {_context(git)} releases {released}"


def _repository(document: DiscoveryDocument, repository: RepositoryConfiguration) -> Iterator[str]:
    concurrency = f", concurrency {repository.concurrency}" if repository.concurrency else ""
    yield f"version {repository.forge_version}, tagging {repository.tagging_strategy}{concurrency}"
    yield ""
    yield "phases"
    phases = {phase.name: phase for phase in repository.phases}
    rows = [
        (f"group {group.group}", name, _phase(phases[name])) for group in document.phase_groups for name in group.phases
    ]
    yield from _indented(_columns(rows))
    if repository.publishers:
        yield ""
        yield "publishers"
        rows = [
            (one.name, one.type, f"credentials {one.credentials}" if one.credentials else "")
            for one in repository.publishers
        ]
        yield from _indented(_columns(rows))


def _phase(phase: PhaseDefinition) -> str:
    facts = [f"timeout {duration(phase.timeout_s)}", *(["required"] if phase.required else [])]
    return f"{phase.description} ({', '.join(facts)})".strip()


def _project(project: DiscoveredProject) -> Iterator[str]:
    for phase in project.phases:
        yield f"phase {phase.name}"
        for number, wave in enumerate(phase.waves, 1):
            steps = ", ".join(f"{step.name} ({step.action})" for step in wave)
            yield f"  wave {number}: {steps}"
    if project.artifacts:
        yield "artifacts"
        yield from _indented(_columns([_artifact(artifact) for artifact in project.artifacts]))
    triggers = ", ".join(_trigger(trigger) for trigger in project.triggers)
    yield f"release: triggered by {triggers}" if project.release_triggered else "release: not triggered"
    yield f"deployment: {'yes' if project.deployment else 'none'}"


def _artifact(artifact: ArtifactDefinition) -> tuple[str, ...]:
    publishers = ", ".join(publisher.name for publisher in artifact.publishers) or "nobody"
    return artifact.name, artifact.type, f"built by {artifact.producer}, published to {publishers}"


def _trigger(trigger: MatchedTrigger) -> str:
    return f"tag {trigger.tag}" if trigger.tag else f"branch {trigger.branch}"


def _context(git: GitContext) -> str:
    places = [f"{kind} {name}" for kind, name in (("branch", git.branch), ("tag", git.tag)) if name]
    return f"{' and '.join(places) or 'no branch or tag'} (event {git.event})"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
