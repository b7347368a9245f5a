"""The discovery of the run that an attempt is based on."""

from forge_api.database import executions
from forge_api.database.pool import Database
from forge_api.pipeline import planner
from forge_api.pipeline.facts import RunFacts
from forge_api.pipeline.outputs import Outputs
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.discovery import DiscoveryDocument


async def reused_document(run: RunFacts, database: Database, outputs: Outputs) -> DiscoveryDocument | None:
    """The document of the base for this run's event; nothing where there is none, and discovery has to run."""
    if run.based_on is None:
        return None
    based_on = run.based_on
    base = await database.look(lambda connection: executions.facts(connection, based_on))
    if base.discovery_ref is None:
        return None
    try:
        document = await outputs.load(base.discovery_ref, DiscoveryDocument)
    except PlatformError as error:
        if error.code is ErrorCode.NOT_FOUND:
            # Documents are kept for as long as runs, but by another clock.
            return None
        raise
    return document if base.source.git == run.source.git else planner.for_event(document, run.source.git)
