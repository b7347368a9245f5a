"""Routes of releases, deployments and environments."""

from http import HTTPStatus

from forge_api.auth.roles import DEVELOPERS, OPERATORS, READERS
from forge_api.web.handlers import deployments, environments, release_requests, releases
from forge_api.web.pages import PageQuery
from forge_api.web.routing import Route
from forge_sdk.models import api

OK, CREATED, ACCEPTED, NO_CONTENT = HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT
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
        path="/v1/releases",
        handler=release_requests.create,
        roles=DEVELOPERS,
        summary="Release a project at a commit, or get the release that is there",
        body=api.CreateRelease,
        answers={OK: api.RequestedRelease, ACCEPTED: api.RequestedRelease},
    ),
    Route(
        method="POST",
        path="/v1/releases/{owner}/{name}/{project}/{release}/retry",
        handler=release_requests.retry,
        roles=DEVELOPERS,
        summary="Go on with a partial release, or with one that could not be made",
        path_model=releases.ReleasePath,
        body=api.RetryRelease,
        answers={OK: api.RequestedRelease, ACCEPTED: api.RequestedRelease},
    ),
    Route(
        method="POST",
        path="/v1/releases/{owner}/{name}/{project}/{release}/give-up",
        handler=release_requests.give_up,
        roles=DEVELOPERS,
        summary="Give up what publishers have not done for a partial release",
        path_model=releases.ReleasePath,
        answers={OK: api.Release},
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
)
ENVIRONMENT_ROUTES = (
    Route(
        method="GET",
        path="/v1/environments",
        handler=environments.environments,
        roles=READERS,
        summary="List the environments with their policies",
        answers={OK: api.Page[api.Environment]},
    ),
    Route(
        method="GET",
        path="/v1/environments/{environment}/deployments",
        handler=environments.active,
        roles=READERS,
        summary="List what runs in an environment, newest first",
        path_model=environments.OneEnvironmentPath,
        query=environments.ActiveQuery,
        answers={OK: api.Page[api.Deployment]},
    ),
    Route(
        method="GET",
        path="/v1/holds",
        handler=environments.held,
        roles=READERS,
        summary="List the holds on automatic deployments",
        query=environments.HoldQuery,
        answers={OK: api.Page[api.Hold]},
    ),
    Route(
        method="DELETE",
        path="/v1/holds/{environment}/{owner}/{name}/{project}",
        handler=environments.lift,
        roles=DEVELOPERS | OPERATORS,
        summary="Let automatic deployments of a project to an environment go on",
        path_model=deployments.EnvironmentPath,
        answers={NO_CONTENT: None},
    ),
)
