"""Discovery jobs: what a commit's configuration says, read from the cache without a checkout."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from forge_project import CommitTree
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.discovery import DiscoveryDocument
from forge_sdk.plugins.manager import Plugins
from forge_sdk.storage_keys import DISCOVERY_LOG
from forge_worker.checkpoints import Checkpoint, run_checkpoints
from forge_worker.git.cache import CachedCommit
from forge_worker.jobs import JobContext

COMPONENT = "discovery"


@dataclass(slots=True)
class _State:
    context: JobContext
    commit: CachedCommit
    document: DiscoveryDocument = field(default_factory=DiscoveryDocument)


class DiscoveryHandler:
    """Makes the discovery document of the job's commit."""

    async def run(self, context: JobContext) -> DiscoveryDocument:
        """The document; a `ConfigurationError` lists all problems of the configuration."""
        async with context.log(COMPONENT, *DISCOVERY_LOG) as log:
            log.line(f"[forge] reading the configuration of {context.job.repository} at {context.job.commit_sha}")
            try:
                document = await _document(context)
            except PlatformError as error:
                log.line(f"[forge] {error.message}")
                raise
            for warning in document.warnings:
                log.line(f"[forge] warning: {warning}")
            log.line(f"[forge] found {len(document.projects)} projects, to release: {len(document.release_projects)}")
            return document


async def _document(context: JobContext) -> DiscoveryDocument:
    async with context.commit() as commit:
        state = _State(context, commit)
        await run_checkpoints(CHECKPOINTS, state, observer=context.services.observer, job_id=context.job.id)
    return state.document


async def _discover(state: _State) -> None:
    source = CommitTree(state.commit.git_directory, state.commit.sha)
    state.document = await state.context.services.project.discover(source, state.context.job.git)


async def _check_plugins(state: _State) -> None:
    missing = sorted(set(missing_plugins(state.document, state.context.services.plugins)))
    if missing:
        raise PlatformError(
            f"the configuration needs plugins that this platform does not have: {', '.join(missing)}; install the distributions "
            "that provide them on its workers",
            code=ErrorCode.PLUGIN_MISSING,
            component=COMPONENT,
            context={"missing": list(missing)},
        )


CHECKPOINTS = (Checkpoint("discovery.evaluate", _discover), Checkpoint("discovery.check_plugins", _check_plugins))


def missing_plugins(document: DiscoveryDocument, plugins: Plugins) -> Iterator[str]:
    """Each plugin that the document names and that is not installed, like `producer 'docker' of project web`."""
    publishers = document.repository.publishers if document.repository is not None else ()
    for publisher in publishers:
        yield from _unless(publisher.type, plugins.publishers, "publisher", "the repository")
        if publisher.credentials is not None:
            yield from _unless(
                publisher.credentials.provider, plugins.secret_resolvers, "secret resolver", "the repository"
            )
    for project in document.projects:
        where = f"project {project.name}"
        for artifact in project.artifacts:
            yield from _unless(artifact.producer, plugins.producers, "producer", where)
        for step in (step for phase in project.phases for wave in phase.waves for step in wave):
            yield from _unless(step.action, plugins.step_actions, "step action", where)
            for secret in step.secrets:
                yield from _unless(secret.reference.provider, plugins.secret_resolvers, "secret resolver", where)


def _unless(name: str, installed: Mapping[str, object], kind: str, where: str) -> Iterator[str]:
    if name not in installed:
        yield f"{kind} {name!r} of {where}"
