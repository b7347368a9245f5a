"""Routes of runs: for people, for dispatchers, and the audit log."""

from http import HTTPStatus

from forge_api.auth.roles import AUDITORS, DEVELOPERS, READERS, SERVICES
from forge_api.web.handlers import audit, logs, run_events, runs, stages
from forge_api.web.routing import Route
from forge_sdk.models import api
from forge_sdk.models.stages import StageJobs, StageQuery, StageResult

OK, CREATED, NO_CONTENT = HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT

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
        conditional=True,
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
        method="POST",
        path="/v1/runs/{run_id}/retry",
        handler=runs.retry,
        roles=DEVELOPERS,
        summary="Make a new attempt of a run that has ended",
        path_model=runs.RunPath,
        body=api.RetryRun,
        answers={OK: api.RunSummary, CREATED: api.RunSummary},
    ),
    Route(
        method="GET",
        path="/v1/runs/{run_id}/events",
        handler=run_events.events,
        roles=READERS,
        summary="Follow a run: server-sent events",
        path_model=runs.RunPath,
        content_type=run_events.CONTENT_TYPE,
    ),
    Route(
        method="GET",
        path="/v1/steps/{step_id}/logs",
        handler=logs.read,
        roles=READERS,
        summary="Redirect to the log of a step, an artifact or a job, or follow it until it ends",
        path_model=logs.LogPath,
        query=logs.LogQuery,
        answers={HTTPStatus.FOUND: None, OK: None},
    ),
)
AUDIT_ROUTES = (
    Route(
        method="GET",
        path="/v1/audit",
        handler=audit.page,
        roles=AUDITORS,
        summary="List what was done, newest first",
        query=audit.AuditQuery,
        answers={OK: api.Page[api.AuditRecord]},
    ),
)
DISPATCHER_ROUTES = (
    Route(
        method="GET",
        path="/v1/internal/runs/{run_id}/stages/{stage}/jobs",
        handler=stages.jobs,
        roles=SERVICES,
        summary="Get what is to do in a stage of a run now",
        path_model=stages.StagePath,
        query=StageQuery,
        answers={OK: StageJobs},
    ),
    Route(
        method="POST",
        path="/v1/internal/runs/{run_id}/results",
        handler=stages.record,
        roles=SERVICES,
        summary="Record the result of a job of a stage",
        path_model=stages.ResultsPath,
        body=StageResult,
        answers={NO_CONTENT: None},
    ),
)
