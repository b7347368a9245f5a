"""Events of a run as `GET /v1/runs/{id}/events` sends them (server-sent events), and the state that they add up to.

The first event, `state`, is the whole run; each later one replaces the thing of its name: `run` (the run without what is
below it), `phase`, `task`, `step`, or `outcome` (releases in the making, releases, deployments, logs, warnings). A stream
ends after the run has.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from enum import StrEnum
from uuid import UUID

from pydantic import JsonValue

from forge_sdk.models.api import Phase, Run, RunSummary, Step, Task
from forge_sdk.models.base import WireModel


class RunEventType(StrEnum):
    """What has changed."""

    STATE = "state"
    RUN = "run"
    PHASE = "phase"
    TASK = "task"
    STEP = "step"
    OUTCOME = "outcome"


class RunEvent(WireModel):
    """One event; `data` are the fields that have changed, with the `id` of the phase, task or step that they belong to."""

    type: RunEventType
    data: dict[str, JsonValue]


_OUTCOME = {"attempts", "releases", "deployments", "logs", "warnings"}
_SUMMARY = set(RunSummary.model_fields)
_BELOW = ("phases", "tasks", "steps")
_OWN = {kind: set(kind.model_fields) - set(_BELOW) for kind in (Phase, Task, Step)}


def changes(before: Run | None, after: Run) -> Iterator[RunEvent]:
    """The events that turn `before` into `after`; the whole state where its phases, tasks or steps are others."""
    if before is None or _shape(before) != _shape(after):
        yield RunEvent(type=RunEventType.STATE, data=after.model_dump(mode="json"))
        return
    for (_, old), (kind, new) in zip(_items(before), _items(after), strict=True):
        own = _OWN[type(new)]
        if _differ(old, new, own):
            yield RunEvent(type=kind, data=new.model_dump(mode="json", include=own))
    if _differ(before, after, _OUTCOME):
        yield RunEvent(type=RunEventType.OUTCOME, data=after.model_dump(mode="json", include=_OUTCOME))
    if _differ(before, after, _SUMMARY):
        yield RunEvent(type=RunEventType.RUN, data=after.model_dump(mode="json", include=_SUMMARY))


class RunState:
    """A run that is kept up to date by its events."""

    def __init__(self) -> None:
        self._values: dict[str, JsonValue] | None = None
        self._items: dict[str, dict[str, JsonValue]] = {}

    def apply(self, event: RunEvent) -> None:
        """Take an event; those before the first whole state change nothing."""
        if event.type is RunEventType.STATE:
            self._values = event.data
            self._items = dict(_below(event.data))
        elif self._values is None:
            return
        elif event.type in {RunEventType.RUN, RunEventType.OUTCOME}:
            self._values |= event.data
        elif (item := self._items.get(str(event.data.get("id")))) is not None:
            item |= event.data

    def run(self) -> Run | None:
        """The run after the events so far; nothing before the first whole state."""
        return Run.model_validate(self._values) if self._values is not None else None


def _items(run: Run) -> Iterator[tuple[RunEventType, Phase | Task | Step]]:
    for phase in run.phases:
        yield RunEventType.PHASE, phase
        for task in phase.tasks:
            yield RunEventType.TASK, task
            for step in task.steps:
                yield RunEventType.STEP, step


def _differ(before: WireModel, after: WireModel, fields: AbstractSet[str]) -> bool:
    return any(getattr(before, name) != getattr(after, name) for name in fields)


def _shape(run: Run) -> list[UUID]:
    return [item.id for _, item in _items(run)]


def _below(values: dict[str, JsonValue]) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    for name in _BELOW:
        found = values.get(name)
        for item in found if isinstance(found, list) else ():
            if isinstance(item, dict):
                yield str(item.get("id")), item
                yield from _below(item)
