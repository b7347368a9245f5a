"""The port of workflow engines: every plan (run, deployment) goes through `submit`."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from forge_sdk.models.statuses import RunStatus


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Carry out a run that is stored in the database."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """Carry out a deployment that is stored in the database."""

    deployment_id: UUID


class WorkflowEngine(Protocol):
    """Carries out plans. What it is told is stored already, so that a restart loses nothing."""

    async def submit(self, plan: RunPlan | DeploymentPlan) -> None:
        """Start a plan and return at once; submitting what runs or has ended changes nothing."""

    async def status(self, run_id: UUID) -> RunStatus:
        """The status of a run as the engine sees it; `not_found` where it does not exist."""

    async def cancel(self, run_id: UUID) -> None:
        """Ask that a run ends; a run that has ended stays as it is."""

    async def resume(self) -> None:
        """Go on with everything that has not ended. Called at start; calling it again changes nothing."""

    def link(self, run_id: UUID) -> str:
        """URL under which a person sees the run."""
