"""What `forge validate` found, as a versioned document and as lines for a person."""

from collections.abc import Iterator
from typing import Self

from pydantic import ConfigDict

from forge_cli.configuration.diagnostics import Reporter
from forge_cli.configuration.snapshot import REPOSITORY_FILE, Snapshot
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.base import SCHEMA_VERSION, CamelModel, SchemaVersion
from forge_sdk.models.discovery import Diagnostic, DiscoveryDocument


class ValidationReport(CamelModel):
    """The outcome of validating one state of a repository.

    Files in `problems` and `warnings` are relative to `repository`, the absolute path of its root. `problem_count` counts all problems,
    also those that are too many to be listed. `commit_sha` is absent for the working tree.
    """

    model_config = ConfigDict(title="Validation report")

    schema_version: SchemaVersion = SCHEMA_VERSION
    repository: str
    commit_sha: str | None = None
    valid: bool
    projects: int = 0
    problem_count: int = 0
    problems: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    @classmethod
    def of_document(cls, snapshot: Snapshot, document: DiscoveryDocument) -> Self:
        """The report of a configuration that was discovered."""
        return cls(
            repository=str(snapshot.root),
            commit_sha=snapshot.commit_sha,
            valid=True,
            projects=len(document.projects),
            warnings=document.warnings,
        )

    @classmethod
    def of_error(cls, snapshot: Snapshot, error: ConfigurationError) -> Self:
        """The report of a configuration that was refused."""
        problems = diagnostics_of(error)
        counted = error.context.get("count")
        return cls(
            repository=str(snapshot.root),
            commit_sha=snapshot.commit_sha,
            valid=False,
            problem_count=counted if isinstance(counted, int) else len(problems),
            problems=problems,
        )


def diagnostics_of(error: ConfigurationError) -> tuple[Diagnostic, ...]:
    """The problems that an error lists; the error itself where it lists none."""
    found = error.context.get("diagnostics")
    if not isinstance(found, list) or not found:
        return (Diagnostic(message=error.message),)
    return tuple(Diagnostic.model_validate(one) for one in found)


def report_lines(report: ValidationReport, snapshot: Snapshot) -> Iterator[str]:
    """The report for a person; the last line counts."""
    reporter = Reporter(snapshot)
    yield from reporter.lines(report.warnings, "warning")
    yield from reporter.lines(report.problems)
    yield _summary(report, snapshot)


def _summary(report: ValidationReport, snapshot: Snapshot) -> str:
    if report.valid:
        warned = f", {_counted(len(report.warnings), 'warning')}" if report.warnings else ""
        if not snapshot.configured:
            return f"there is no {REPOSITORY_FILE} in {snapshot.root}: the repository has no projects; `forge init` writes one"
        return f"{_counted(report.projects, 'project')}, no problems{warned}"
    files = {problem.file for problem in report.problems if problem.file}
    where = f" in {_counted(len(files), 'file')}" if files else ""
    listed = len(report.problems)
    shown = f", the first {listed} are shown" if listed < report.problem_count else ""
    return f"{_counted(report.problem_count, 'problem')}{where}{shown}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
