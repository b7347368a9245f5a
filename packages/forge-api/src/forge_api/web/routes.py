"""The table of all routes."""

from http import HTTPStatus

from forge_api.auth.roles import DEVELOPERS, OPERATORS, READERS, SERVICES
from forge_api.web.call import Answer, Call
from forge_api.web.handlers import deployments, health, internal, logs, releases, repositories, runs
from forge_api.web.openapi import document
from forge_api.web.pages import PageQuery
from forge_api.web.routing import PUBLIC, Route
from forge_sdk.models import api

OK, CREATED, NO_CONTENT = HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT


async def openapi(call: Call) -> Answer:  # noqa: ARG001 - every handler gets the call
    """This document."""
    return Answer(raw=document(ROUTES), content_type="application/json")


REPOSITORY_ROUTES = (
    Route(
        method="POST",
        path="/v1/repositories",
        handler=repositories.register,
        roles=OPERATORS,
        summary="Register a repository",
        body=api.RegisterRepository,
        answers={OK: api.Repository, CREATED: api.Repository},
    ),
    Route(
        method="GET",
        path="/v1/repositories",
        handler=repositories.page,
        roles=READERS,
        summary="List repositories",
        query=PageQuery,
        answers={OK: api.Page[api.Repository]},
    ),
)
RUN_ROUTES = (
    Route(
        method="POST",
        path="/v1/runs",
        handler=runs.create,
        roles=DEVELOPERS,
        summary="Create a run, or get the newest attempt of the commit",
        body=api.CreateRun,
        answers={OK: api.RunSummary, CREATED: api.RunSummary},
    ),
    Route(
        method="GET",
        path="/v1/runs",
        handler=runs.page,
        roles=READERS,
        summary="List runs, newest first",
        query=runs.RunQuery,
        answers={OK: api.Page[api.RunSummary]},
    ),
    Route(
        method="GET",
        path="/v1/runs/{run_id}",
        handler=runs.find,
        roles=READERS,
        summary="Get a run with everything below it",
        path_model=runs.RunPath,
        answers={OK: api.Run},
        conditional=True,
    ),
    Route(
        method="DELETE",
        path="/v1/runs/{run_id}",
        handler=runs.cancel,
        roles=DEVELOPERS,
        summary="Cancel a run",
        path_model=runs.RunPath,
        answers={OK: api.RunSummary},
    ),
    Route(
        method="GET",
        path="/v1/steps/{step_id}/logs",
        handler=logs.redirect,
        roles=READERS,
        summary="Redirect to the log of a step, an artifact or a job",
        path_model=logs.LogPath,
        answers={HTTPStatus.FOUND: None},
    ),
)
RELEASE_ROUTES = (
    Route(
        method="GET",
        path="/v1/releases/{owner}/{name}/{project}",
        handler=releases.page,
        roles=READERS,
        summary="List the releases of a project, newest first",
        path_model=releases.ProjectPath,
        query=PageQuery,
        answers={OK: api.Page[api.Release]},
        conditional=True,
    ),
    Route(
        method="GET",
        path="/v1/releases/{owner}/{name}/{project}/{release}",
        handler=releases.find,
        roles=READERS,
        summary="Get a release by alias, number, SHA or SHA prefix",
        path_model=releases.ReleasePath,
        answers={OK: api.Release},
        conditional=True,
    ),
    Route(
        method="POST",
        path="/v1/deployments",
        handler=deployments.create,
        roles=DEVELOPERS,
        summary="Deploy a release to an environment",
        body=api.CreateDeployment,
        answers={OK: api.Deployment, CREATED: api.Deployment},
    ),
    Route(
        method="GET",
        path="/v1/deployments/{environment}/{owner}/{name}/{project}",
        handler=deployments.history,
        roles=READERS,
        summary="List the deployments of a project to an environment, newest first",
        path_model=deployments.EnvironmentPath,
        query=PageQuery,
        answers={OK: api.Page[api.Deployment]},
    ),
    Route(
        method="GET",
        path="/v1/environments",
        handler=deployments.environments,
        roles=READERS,
        summary="List the environments with their policies",
        answers={OK: api.Page[api.Environment]},
    ),
)
WORKER_ROUTES = (
    Route(
        method="GET",
        path="/v1/plugins",
        handler=internal.list_plugins,
        roles=READERS,
        summary="List what every service has installed",
        answers={OK: api.Plugins},
    ),
    Route(
        method="POST",
        path="/v1/internal/statuses",
        handler=internal.statuses,
        roles=SERVICES,
        summary="Report statuses of tasks and steps",
        body=api.StatusBatch,
        answers={NO_CONTENT: None},
    ),
    Route(
        method="PUT",
        path="/v1/internal/attempts/{release_id}/publications",
        handler=internal.publications,
        roles=SERVICES,
        summary="Write rows of the publish ledger",
        path_model=internal.AttemptPath,
        body=api.LedgerUpdate,
        answers={NO_CONTENT: None},
    ),
    Route(
        method="PUT",
        path="/v1/internal/attempts/{release_id}/state",
        handler=internal.attempt,
        roles=SERVICES,
        summary="Report how far the making of a release has come",
        path_model=internal.AttemptPath,
        body=api.AttemptUpdate,
        answers={NO_CONTENT: None},
    ),
    Route(
        method="PUT",
        path="/v1/internal/plugins/{service}",
        handler=internal.register_plugins,
        roles=SERVICES,
        summary="Tell what a service has installed",
        path_model=internal.ServicePath,
        body=api.RegisterPlugins,
        answers={NO_CONTENT: None},
    ),
)
PUBLIC_ROUTES = (
    Route(method="GET", path="/healthz", handler=health.live, roles=PUBLIC, summary="Whether the process lives"),
    Route(method="GET", path="/readyz", handler=health.ready, roles=PUBLIC, summary="Whether it can work"),
    Route(method="GET", path="/metrics", handler=health.metrics, roles=PUBLIC, summary="Metrics for Prometheus"),
    Route(method="GET", path="/v1/openapi.json", handler=openapi, roles=PUBLIC, summary="This document"),
)
ROUTES = (*REPOSITORY_ROUTES, *RUN_ROUTES, *RELEASE_ROUTES, *WORKER_ROUTES, *PUBLIC_ROUTES)
