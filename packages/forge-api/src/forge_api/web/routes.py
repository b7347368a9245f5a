"""The table of all routes."""

from http import HTTPStatus

from forge_api.auth.roles import OPERATORS, READERS, SERVICES
from forge_api.web.call import Answer, Call
from forge_api.web.handlers import health, internal, repositories
from forge_api.web.openapi import document
from forge_api.web.pages import PageQuery
from forge_api.web.release_routes import ENVIRONMENT_ROUTES, RELEASE_ROUTES
from forge_api.web.routing import PUBLIC, Route
from forge_api.web.run_routes import AUDIT_ROUTES, DISPATCHER_ROUTES, RUN_ROUTES
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
        answers={OK: api.StatusAnswer},
    ),
    Route(
        method="PUT",
        path="/v1/tasks/{task_id}/status",
        handler=internal.task_status,
        roles=SERVICES,
        summary="Report the status of a task",
        path_model=internal.TaskPath,
        body=api.TaskStatus,
        answers={NO_CONTENT: None},
    ),
    Route(
        method="PUT",
        path="/v1/steps/{step_id}/status",
        handler=internal.step_status,
        roles=SERVICES,
        summary="Report the status of a step",
        path_model=internal.StepPath,
        body=api.StepStatus,
        answers={NO_CONTENT: None},
    ),
    Route(
        method="PUT",
        path="/v1/internal/leases",
        handler=internal.lease,
        roles=SERVICES,
        summary="Take, prolong or give back the lease on an image's referrers",
        body=api.LeaseRequest,
        answers={OK: api.LeaseAnswer},
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
ROUTES = (
    *REPOSITORY_ROUTES,
    *RUN_ROUTES,
    *RELEASE_ROUTES,
    *ENVIRONMENT_ROUTES,
    *DISPATCHER_ROUTES,
    *AUDIT_ROUTES,
    *WORKER_ROUTES,
    *PUBLIC_ROUTES,
)
