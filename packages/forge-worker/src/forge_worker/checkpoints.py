"""Named checkpoints: a handler as a list of idempotent steps over one state, observed from outside."""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from forge_sdk import telemetry
from forge_sdk.errors import ConfigurationError
from forge_sdk.logging import get_logger

State = TypeVar("State")
STOP_AT = "FORGE_STOP_AT"
"""Environment variable of fault tests: `<checkpoint>:before` or `<checkpoint>:after` kills the process there."""

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint(Generic[State]):
    """One step of a handler. `name` is `<type>.<verb>` and stable; `function` changes the state and may be repeated."""

    name: str
    function: Callable[[State], Awaitable[None]]


class CheckpointObserver(Protocol):
    """Is told of every checkpoint; raising stops the job there."""

    async def before(self, name: str, job_id: UUID) -> None:
        """The checkpoint is about to start."""

    async def after(self, name: str, job_id: UUID) -> None:
        """The checkpoint is done."""


class LoggingObserver:
    """Logs checkpoints, and ends the process with SIGKILL at the one that `stop_at` names."""

    def __init__(self, stop_at: str | None = None) -> None:
        name, _, moment = (stop_at or "").partition(":")
        if stop_at and (not name or moment not in {"before", "after"}):
            raise ConfigurationError(
                f"{STOP_AT}={stop_at!r} is not <checkpoint>:before or <checkpoint>:after", component="worker"
            )
        self._stop_at = (name, moment)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "LoggingObserver":
        """An observer that obeys `FORGE_STOP_AT`."""
        return cls(environment.get(STOP_AT))

    async def before(self, name: str, job_id: UUID) -> None:
        """Log at debug level."""
        logger.debug("checkpoint_started", checkpoint=name, job_id=str(job_id))
        self._stop(name, "before")

    async def after(self, name: str, job_id: UUID) -> None:
        """Log at debug level."""
        logger.debug("checkpoint_finished", checkpoint=name, job_id=str(job_id))
        self._stop(name, "after")

    def _stop(self, name: str, moment: str) -> None:
        if self._stop_at == (name, moment):
            os.kill(os.getpid(), signal.SIGKILL)


async def run_checkpoints(
    checkpoints: Sequence[Checkpoint[State]], state: State, *, observer: CheckpointObserver, job_id: UUID
) -> None:
    """Run the checkpoints in order over `state`; the first error ends the sequence and is raised as it is."""
    for checkpoint in checkpoints:
        with telemetry.span(checkpoint.name):
            await observer.before(checkpoint.name, job_id)
            await checkpoint.function(state)
            await observer.after(checkpoint.name, job_id)
