"""The Platform API as typed calls. Errors of the API and of the network arrive as `PlatformError`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote
from uuid import UUID

import aiohttp
from pydantic import BaseModel, JsonValue, ValidationError

from forge_sdk import telemetry
from forge_sdk.client.streams import events as read_events
from forge_sdk.client.tokens import TokenSource
from forge_sdk.errors import AuthenticationError, ErrorCode, PlatformError, TransientError
from forge_sdk.identifiers import uuid7
from forge_sdk.models import api
from forge_sdk.models.error import ErrorResponse
from forge_sdk.models.run_events import RunState
from forge_sdk.models.statuses import RunStatus
from forge_sdk.retry import RetryPolicy

Model = TypeVar("Model", bound=BaseModel)
MAX_ANSWER = 32 * 2**20
"""Bytes; a longer answer is refused."""
TIMEOUT = aiohttp.ClientTimeout(total=30, connect=5)
STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=60)
"""The platform sends something at least every 15 seconds, where nothing else a comment."""
LOG_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5)
KEY_HEADER = "Idempotency-Key"
DEFAULT_RETRY = RetryPolicy(attempts=3, base_delay=0.2, max_delay=5, jitter=0.2)
_TRANSIENT_STATUSES = {429, 500, 502, 503, 504}


class ApiClient:
    """Client of one platform; use it as an async context manager.

    Calls are repeated when they fail for a passing reason; one that creates something carries a key that stays the same
    then, so that the platform carries it out once.
    """

    def __init__(self, base_url: str, tokens: TokenSource, *, retry: RetryPolicy = DEFAULT_RETRY) -> None:
        self._base_url = base_url.rstrip("/")
        self._tokens, self._retry = tokens, retry
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def register_repository(self, body: api.RegisterRepository) -> api.Repository:
        """Register a repository, or change what is known of it."""
        return await self._send("POST", "/v1/repositories", api.Repository, body)

    async def create_run(self, body: api.CreateRun) -> api.RunSummary:
        """Create a run, or get the newest attempt of that commit."""
        return await self._send("POST", "/v1/runs", api.RunSummary, body)

    async def retry_run(self, run_id: UUID, *, failed: bool = False) -> api.RunSummary:
        """A new attempt of a run that has ended; with `failed` it repeats only what did not succeed."""
        return await self._send("POST", f"/v1/runs/{run_id}/retry", api.RunSummary, api.RetryRun(failed=failed))

    async def runs(
        self,
        *,
        repository: str | None = None,
        branch: str | None = None,
        commit_sha: str | None = None,
        status: RunStatus | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> api.Page[api.RunSummary]:
        """One page of runs, newest first."""
        query = {
            "repository": repository,
            "branch": branch,
            "commit_sha": commit_sha,
            "status": status,
            "cursor": cursor,
            "limit": str(limit),
        }
        return await self._send("GET", "/v1/runs", api.Page[api.RunSummary], query=query)

    async def run(self, run_id: UUID) -> api.Run:
        """A run with everything below it."""
        return await self._send("GET", f"/v1/runs/{run_id}", api.Run)

    async def cancel_run(self, run_id: UUID) -> api.RunSummary:
        """Ask that a run ends."""
        return await self._send("DELETE", f"/v1/runs/{run_id}", api.RunSummary)

    async def run_events(self, run_id: UUID) -> AsyncIterator[api.Run]:
        """The run as it is and after every change, until it has ended or the stream does; changes that arrive together are one."""
        state = RunState()
        async with self._request("GET", f"/v1/runs/{run_id}/events", None, {}, limits=STREAM_TIMEOUT) as response:
            await _raise_for_error(response)
            async for arrived in read_events(response.content):
                for event in arrived:
                    state.apply(event)
                if (run := state.run()) is not None:
                    yield run

    @asynccontextmanager
    async def step_log(self, step_id: UUID, *, follow: bool = False) -> AsyncIterator[aiohttp.StreamReader]:
        """The log of a step, or of a job that has one log (by its id), as a stream of bytes; with `follow` until it ends."""
        query = {"follow": "1"} if follow else {}
        async with self._request("GET", f"/v1/steps/{step_id}/logs", None, query, limits=LOG_TIMEOUT) as response:
            await _raise_for_error(response)
            yield response.content

    async def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> api.Page[api.AuditRecord]:
        """One page of the audit log, newest first."""
        query = {"actor": actor, "action": action, "subject": subject, "cursor": cursor, "limit": str(limit)}
        return await self._send("GET", "/v1/audit", api.Page[api.AuditRecord], query=query)

    async def release(self, repository: str, project: str, release: str) -> api.Release:
        """A release by number, alias, SHA or SHA prefix."""
        return await self._send("GET", f"/v1/releases/{repository}/{project}/{quote(release, safe='')}", api.Release)

    async def releases(self, repository: str, project: str, *, cursor: str | None = None) -> api.Page[api.Release]:
        """One page of a project's releases, newest first."""
        return await self._send(
            "GET", f"/v1/releases/{repository}/{project}", api.Page[api.Release], query={"cursor": cursor}
        )

    async def create_release(self, body: api.CreateRelease) -> api.RequestedRelease:
        """Ask for the release of a project at a commit; where there is one, it is returned with the aliases added."""
        return await self._send("POST", "/v1/releases", api.RequestedRelease, body)

    async def retry_release(
        self, repository: str, project: str, release: str, *, rebuild: bool = False
    ) -> api.RequestedRelease:
        """Go on with a partial release, or by a commit's SHA with one that could not be made."""
        path = f"/v1/releases/{repository}/{project}/{quote(release, safe='')}/retry"
        return await self._send("POST", path, api.RequestedRelease, api.RetryRelease(rebuild=rebuild))

    async def give_up_release(self, repository: str, project: str, release: str) -> api.Release:
        """Give up what publishers have not done for a partial release."""
        path = f"/v1/releases/{repository}/{project}/{quote(release, safe='')}/give-up"
        return await self._send("POST", path, api.Release)

    async def create_deployment(self, body: api.CreateDeployment) -> api.Deployment:
        """Deploy a release to an environment."""
        return await self._send("POST", "/v1/deployments", api.Deployment, body)

    async def deployments(
        self, environment: str, repository: str, project: str, *, cursor: str | None = None, limit: int = 50
    ) -> api.Page[api.Deployment]:
        """The deployments of a project to an environment, newest first."""
        path = f"/v1/deployments/{environment}/{repository}/{project}"
        query = {"cursor": cursor, "limit": str(limit)}
        return await self._send("GET", path, api.Page[api.Deployment], query=query)

    async def environments(self) -> api.Page[api.Environment]:
        """The environments with their policies."""
        return await self._send("GET", "/v1/environments", api.Page[api.Environment])

    async def active_deployments(
        self, environment: str, *, repository: str | None = None, cursor: str | None = None
    ) -> api.Page[api.Deployment]:
        """What runs in an environment, newest first."""
        query = {"repository": repository, "cursor": cursor}
        path = f"/v1/environments/{environment}/deployments"
        return await self._send("GET", path, api.Page[api.Deployment], query=query)

    async def holds(self, *, environment: str | None = None) -> api.Page[api.Hold]:
        """What is not deployed automatically until the hold is lifted."""
        return await self._send("GET", "/v1/holds", api.Page[api.Hold], query={"environment": environment})

    async def lift_hold(self, environment: str, repository: str, project: str) -> None:
        """Let automatic deployments of a project to an environment go on."""
        await self._send("DELETE", f"/v1/holds/{environment}/{repository}/{project}", None)

    async def plugins(self) -> api.Plugins:
        """What each service has installed."""
        return await self._send("GET", "/v1/plugins", api.Plugins)

    async def register_plugins(self, service: str, body: api.RegisterPlugins) -> None:
        """Tell what a worker has installed."""
        await self._send("PUT", f"/v1/internal/plugins/{quote(service, safe='')}", None, body)

    async def update_statuses(self, body: api.StatusBatch) -> api.StatusAnswer:
        """Report statuses of tasks and steps; the answer names the jobs that were refused."""
        return await self._send("POST", "/v1/internal/statuses", api.StatusAnswer, body)

    async def lease(self, body: api.LeaseRequest) -> bool:
        """Take, prolong or give back the lease on an image's referrers; whether the job holds it now."""
        return (await self._send("PUT", "/v1/internal/leases", api.LeaseAnswer, body)).held

    async def update_publications(self, release_id: UUID, body: api.LedgerUpdate) -> None:
        """Write rows of the publish ledger."""
        await self._send("PUT", f"/v1/internal/attempts/{release_id}/publications", None, body)

    async def update_attempt(self, release_id: UUID, body: api.AttemptUpdate) -> None:
        """Report how far the making of a release has come."""
        await self._send("PUT", f"/v1/internal/attempts/{release_id}/state", None, body)

    async def _send(
        self,
        method: str,
        path: str,
        answer: type[Model] | None,
        body: BaseModel | None = None,
        query: Mapping[str, str | None] | None = None,
    ) -> Model:
        # Reports of workers stand under a fencing token: repeating one changes nothing.
        key = uuid7().hex if method == "POST" and not path.startswith("/v1/internal/") else None

        async def once() -> bytes:
            async with self._request(method, path, body, query or {}, key=key) as response:
                await _raise_for_error(response)
                return await _bounded(response)

        data = await self._retry.call(once)
        return _parse(data, answer) if answer is not None else answer  # type: ignore[return-value]

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        body: BaseModel | None,
        query: Mapping[str, str | None],
        *,
        key: str | None = None,
        limits: aiohttp.ClientTimeout = TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("ApiClient is an async context manager: use `async with`")
        token = await self._tokens.token(self._session)
        headers = {"Authorization": f"Bearer {token.reveal()}", "Content-Type": "application/json"}
        if (context := telemetry.traceparent()) is not None:
            headers[telemetry.HEADER] = context
        if key is not None:
            headers[KEY_HEADER] = key
        data = body.model_dump_json(by_alias=True).encode() if body is not None else None
        params = {name: value for name, value in query.items() if value is not None}
        try:
            async with self._session.request(
                method, self._base_url + path, data=data, params=params, headers=headers, timeout=limits
            ) as response:
                if response.status == HTTPStatus.UNAUTHORIZED:
                    self._tokens.discard()
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TransientError(
                f"the platform at {self._base_url} can't be reached: {str(error) or type(error).__name__}",
                component="client",
            ) from error


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_ANSWER:
            raise PlatformError(f"the platform's answer is larger than {MAX_ANSWER} bytes", component="client")
    return bytes(data)


async def _raise_for_error(response: aiohttp.ClientResponse) -> None:
    if response.status < HTTPStatus.BAD_REQUEST:
        return
    body = await _bounded(response)
    try:
        answer = ErrorResponse.model_validate_json(body).error
    except ValidationError:
        raise _error(response.status)(f"the platform answered {response.status}", component="client") from None
    context: dict[str, JsonValue] = {"status": response.status, "details": [dict(detail) for detail in answer.details]}
    code = ErrorCode.of(answer.code)
    retry_after = response.headers.get("Retry-After", "")
    error = _error(response.status)(
        answer.message,
        code=code,
        component="api",
        context=context,
        retry_after=float(retry_after) if retry_after.isdigit() else None,
    )
    error.trace_id = answer.trace_id
    raise error


def _error(status: int) -> type[PlatformError]:
    if status in {401, 403}:
        return AuthenticationError
    return TransientError if status in _TRANSIENT_STATUSES else PlatformError


def _parse(data: bytes, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise PlatformError(
            f"the platform's answer does not fit {model.__name__}: upgrade the older of client and platform",
            component="client",
        ) from error
