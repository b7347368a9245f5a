"""The logs of a run and the names by which they are chosen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from forge_sdk.models.api import Run
from forge_sdk.models.statuses import ExecutionStatus


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which logs are asked for; nothing means all of the steps."""

    phase: str | None = None
    project: str | None = None
    step: str | None = None
    failed: bool = False

    def accepts(self, place: "LogPlace") -> bool:
        """Whether the log is asked for."""
        asked = {"phase": self.phase, "project": self.project, "step": self.step}
        names: Mapping[str, str] = {"phase": place.phase, "project": place.project, "step": place.step}
        fits = all(value is None or names[name] == value for name, value in asked.items())
        return fits and (place.status == ExecutionStatus.FAILED or not self.failed)


@dataclass(frozen=True, slots=True)
class LogPlace:
    """One log: of a step, or of a job without steps, whose phase is its type and whose status is not known."""

    id: UUID
    phase: str
    project: str
    step: str
    status: str
    complete: bool

    @property
    def name(self) -> str:
        """`phase project step`."""
        return f"{self.phase} {self.project} {self.step}"


def places(run: Run, wanted: Wanted) -> Iterator[LogPlace]:
    """The logs of a run that are wanted, also those of steps that have not started."""
    for place in (*_jobs(run), *_steps(run)):
        if wanted.accepts(place):
            yield place


def _steps(run: Run) -> Iterator[LogPlace]:
    for phase in run.phases:
        for task in phase.tasks:
            for step in task.steps:
                done = step.status not in {ExecutionStatus.PENDING, ExecutionStatus.RUNNING}
                yield LogPlace(step.id, phase.name, task.project, step.name, step.status, done and step.logs_available)


def _jobs(run: Run) -> Iterator[LogPlace]:
    for log in run.logs:
        yield LogPlace(log.id, log.phase, log.project, log.step, "", run.status.finished)
