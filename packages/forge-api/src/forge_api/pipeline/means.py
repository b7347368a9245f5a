"""What carrying out runs needs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from forge_api.database.pool import Database
from forge_api.pipeline.dispatching import JobDispatcher
from forge_api.pipeline.facts import RunFacts
from forge_api.pipeline.observing import Observer
from forge_api.pipeline.outputs import Outputs

Deploy = Callable[[UUID, RunFacts], Awaitable[list[str]]]
"""Deploys a release where environments ask for it; never fails for what a deployment does. Tells what was refused."""


@dataclass(frozen=True, slots=True)
class Means:
    """Shared by all runs of a process."""

    database: Database
    dispatcher: JobDispatcher
    outputs: Outputs
    deploy: Deploy
    observer: Observer
