"""One row for each task and step of a batch, which may hold several updates of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from forge_sdk.models.api import StepStatusUpdate, TaskStatusUpdate
from forge_sdk.models.statuses import ExecutionStatus

Columns = tuple[Sequence[Any], ...]
_OPEN = {ExecutionStatus.PENDING, ExecutionStatus.RUNNING}


@dataclass(slots=True)
class _Row:
    id: UUID
    status: ExecutionStatus
    started_at: datetime | None = None
    completed_at: datetime | None = None
    exit_code: int | None = None
    logs_key: str | None = None

    def apply(self, status: ExecutionStatus, at: datetime) -> None:
        if self.status in _OPEN:
            self.status = status
        if status is ExecutionStatus.RUNNING:
            self.started_at = self.started_at or at
        elif status not in _OPEN:
            self.completed_at = self.completed_at or at


def merged_tasks(updates: Iterable[TaskStatusUpdate]) -> Columns:
    """Columns: ids, statuses, starts, ends."""
    rows: dict[UUID, _Row] = {}
    for update in updates:
        rows.setdefault(update.task_id, _Row(update.task_id, update.status)).apply(update.status, update.at)
    return _columns(rows.values(), ("id", "status", "started_at", "completed_at"))


def merged_steps(updates: Iterable[StepStatusUpdate]) -> Columns:
    """Columns: ids, statuses, starts, ends, exit codes, keys of logs."""
    rows: dict[UUID, _Row] = {}
    for update in updates:
        row = rows.setdefault(update.step_id, _Row(update.step_id, update.status))
        row.apply(update.status, update.at)
        row.exit_code = row.exit_code if update.exit_code is None else update.exit_code
        row.logs_key = update.logs_key or row.logs_key
    return _columns(rows.values(), ("id", "status", "started_at", "completed_at", "exit_code", "logs_key"))


def _columns(rows: Iterable[_Row], names: tuple[str, ...]) -> Columns:
    kept = list(rows)
    return tuple([getattr(row, name) for row in kept] for name in names)
