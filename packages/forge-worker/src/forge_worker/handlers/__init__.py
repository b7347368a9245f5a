"""The handlers by type of job: the one table that a new type is added to."""

from collections.abc import Callable, Mapping

from forge_sdk.models.jobs import JobType
from forge_worker.jobs import Handler


def _discovery() -> Handler:
    from forge_worker.handlers.discovery import DiscoveryHandler

    return DiscoveryHandler()


def _ci() -> Handler:
    from forge_worker.handlers.ci import CiHandler

    return CiHandler()


def _artifact() -> Handler:
    from forge_worker.handlers.artifact import ArtifactHandler

    return ArtifactHandler()


def _release() -> Handler:
    from forge_worker.handlers.release import ReleaseHandler

    return ReleaseHandler()


def _deployment() -> Handler:
    from forge_worker.handlers.deployment import DeploymentHandler

    return DeploymentHandler()


HANDLERS: Mapping[JobType, Callable[[], Handler]] = {
    JobType.DISCOVERY: _discovery,
    JobType.CI: _ci,
    JobType.ARTIFACT: _artifact,
    JobType.RELEASE: _release,
    JobType.DEPLOYMENT: _deployment,
}
"""Handlers are imported when a pool needs them: a discovery worker does not load what releases need."""
