"""How a run is shown while it goes on: a live tree on a terminal, one line for each change elsewhere."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from forge_sdk.models.api import Deployment, Release, ReleaseAttempt, Run, Task
from forge_sdk.models.statuses import AttemptState, ExecutionStatus

MARKS = {
    "pending": ("·", "dim"),
    "queued": ("·", "dim"),
    "running": ("▸", "cyan"),
    "success": ("✓", "green"),
    "active": ("✓", "green"),
    "recorded": ("✓", "green"),
    "failed": ("✗", "red"),
    "refused": ("✗", "red"),
    "errored": ("✗", "red"),
    "cancelled": ("■", "yellow"),
    "skipped": ("-", "dim"),
}
PHASE_DEPTH = 1
MAX_LINES = 40
MIN_LINES = 5
"""Lines of the live view, whatever the terminal says of its height."""


class Line:
    """One line: `key` tells which thing it is about, so that a change can be noticed."""

    def __init__(self, key: str, status: str, text: str, depth: int, duration: float | None = None) -> None:
        self.key, self.status, self.text, self.depth, self.duration = key, status, text, depth, duration

    def render(self) -> Text:
        """The line with its mark and colours."""
        mark, style = MARKS.get(self.status, ("▸", "cyan")) if self.status else ("…", "dim")
        text = Text(f"{'  ' * self.depth}{mark} ", style=style)
        text.append(self.text, style="default")
        seconds = f" {self.duration:.1f}s" if self.duration is not None else ""
        return text.append(f"  {self.status}{seconds}", style="dim")


class Progress(Protocol):
    """Something that shows the states of a run."""

    def __call__(self, run: Run) -> None:
        """Show this state."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def progress(console: Console) -> Progress:
    """The view that suits `console`."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class LiveProgress:
    """Redraws the tree in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8)

    def __call__(self, run: Run) -> None:
        height = min(MAX_LINES, max(MIN_LINES, self._live.console.height - 1))
        shown = fitted(list(run_lines(run)), height)
        self._live.update(Text("\n").join(line.render() for line in shown))

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, traceback)


class PlainProgress:
    """Prints what has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, str] = {}

    def __call__(self, run: Run) -> None:
        for line in run_lines(run):
            if line.status != "pending" and self._seen.get(line.key) != line.status:
                self._seen[line.key] = line.status
                self._console.print(line.render(), highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return


def fitted(lines: list[Line], height: int) -> list[Line]:
    """The lines that fit, in their order: what is above tasks first, then failures, then what runs."""
    if len(lines) <= height:
        return lines
    ranked = sorted(range(len(lines)), key=lambda index: (_rank(lines[index]), index))
    kept = sorted(ranked[: height - 1])
    return [*(lines[index] for index in kept), Line("more", "", f"and {len(lines) - len(kept)} more", PHASE_DEPTH)]


def _rank(line: Line) -> int:
    if line.depth <= PHASE_DEPTH:
        return 0
    ranks = {"failed": 1, "running": 2}
    return ranks.get(line.status, 3 if line.depth == PHASE_DEPTH + 1 else 4)


def run_lines(run: Run) -> Iterator[Line]:
    """Everything that a run has done, in the order in which it happens."""
    yield Line(
        "run",
        run.status,
        f"run {run.id} {run.repository}@{run.commit_sha[:12]}",
        0,
        _seconds(run.started_at, run.completed_at),
    )
    if run.waiting_for is not None:
        yield Line(f"waiting {run.waiting_for}", "waiting", f"for the end of run {run.waiting_for}", 1)
    for phase in sorted(run.phases, key=lambda phase: (phase.group, phase.name)):
        yield Line(
            f"phase {phase.name}",
            phase.status,
            f"phase {phase.name}{_counts(phase.tasks) if phase.status is ExecutionStatus.RUNNING else ''}",
            1,
            _seconds(phase.started_at, phase.completed_at),
        )
        for task in phase.tasks:
            yield from _task_lines(phase.name, task)
    for attempt in run.attempts:
        yield from _attempt_lines(attempt)
    for release in run.releases:
        yield _release_line(release)
    for deployment in run.deployments:
        yield _deployment_line(deployment)


def _counts(tasks: Sequence[Task]) -> str:
    """How far many tasks have come."""
    if len(tasks) <= 1:
        return ""
    found = Counter(task.status for task in tasks)
    ended = len(tasks) - found[ExecutionStatus.PENDING] - found[ExecutionStatus.RUNNING]
    failed = f", {found[ExecutionStatus.FAILED]} failed" if found[ExecutionStatus.FAILED] else ""
    return f" ({ended} of {len(tasks)} tasks{failed})"


def _task_lines(phase: str, task: Task) -> Iterator[Line]:
    yield Line(
        f"task {phase} {task.project}",
        task.status,
        f"{phase} {task.project}",
        2,
        _seconds(task.started_at, task.completed_at),
    )
    for step in task.steps:
        text = f"{phase} {task.project} {step.name}"
        if step.exit_code:
            text += f" (exit code {step.exit_code})"
        yield Line(f"step {step.id}", step.status, text, 3, _seconds(step.started_at, step.completed_at))


def _attempt_lines(attempt: ReleaseAttempt) -> Iterator[Line]:
    status = "failed" if attempt.state is AttemptState.FAILED else attempt.state.value
    yield Line(f"attempt {attempt.release_id}", status, f"release of {attempt.project}", 1)
    for artifact in attempt.artifacts:
        for row in artifact.publications:
            done = ExecutionStatus.SUCCESS if row.state.reached_target else row.state
            text = f"{artifact.name}: {row.file} to {row.publisher} ({row.state})"
            yield Line(f"publication {attempt.project} {artifact.name} {row.publisher} {row.file}", done, text, 2)


def _release_line(release: Release) -> Line:
    aliases = ", ".join(alias.alias for alias in release.aliases)
    return Line(
        f"release {release.id}", "success", f"released {release.canonical_id} as {aliases} ({release.status})", 1
    )


def _deployment_line(deployment: Deployment) -> Line:
    text = f"{deployment.project} {deployment.release_number} to {deployment.environment}"
    return Line(f"deployment {deployment.id}", deployment.status, text, 1)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None:
        return None
    return max(0.0, ((end or datetime.now(UTC)) - start).total_seconds())
