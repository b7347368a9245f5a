"""Who is told how long things took."""

from collections.abc import Iterable
from typing import Protocol

from forge_sdk.models.statuses import RunStatus, TriggerType


class Observer(Protocol):
    """Told of ends, each once, after they are recorded."""

    def run_ended(self, status: RunStatus, trigger_type: TriggerType, seconds: float) -> None:
        """A run has ended."""

    def phases_ended(self, phases: Iterable[tuple[str, float]]) -> None:
        """Phases have ended: status and seconds of each."""
