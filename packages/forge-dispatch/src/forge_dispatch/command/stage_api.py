"""What the API tells about a stage, and the results that it gets."""

from http import HTTPStatus
from urllib.parse import urlencode

from pydantic import ValidationError

from forge_dispatch.command.http import Answer, request
from forge_dispatch.command.settings import CommandSettings
from forge_dispatch.command.tokens import Tokens
from forge_dispatch.failures import COMPONENT
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.error import ErrorResponse
from forge_sdk.models.jobs import JobResult
from forge_sdk.models.stages import StageJobs, StageResult
from forge_sdk.retry import RetryPolicy

API_RETRY = RetryPolicy(attempts=30, base_delay=0.2, max_delay=10.0, jitter=0.5)
"""Four minutes: an API that is replaced or restarted meanwhile is waited for."""


class StageApi:
    """The internal endpoints of one stage. Every method raises `TransientError` where the API stays away."""

    def __init__(self, settings: CommandSettings, retry: RetryPolicy = API_RETRY) -> None:
        self._settings, self._retry = settings, retry
        self._tokens = Tokens(settings.api)
        self._run_url = f"{settings.api.url}/v1/internal/runs/{settings.run_id}"

    async def jobs(self) -> StageJobs:
        """What is to do now."""
        query = {
            name: value for name, value in self._settings.query.model_dump(mode="json").items() if value is not None
        }
        url = f"{self._run_url}/stages/{self._settings.stage}/jobs" + (f"?{urlencode(query)}" if query else "")
        answer = await self._call("GET", url, None, HTTPStatus.OK)
        try:
            return StageJobs.model_validate_json(answer.body)
        except ValidationError as error:
            raise PlatformError(
                f"the API's answer can't be read: {error.errors()[0]['msg']}; upgrade the older of the two",
                code=ErrorCode.VERSION_UNSUPPORTED,
                component=COMPONENT,
            ) from error

    async def report(self, result: JobResult) -> None:
        """Record a result."""
        settings = self._settings
        body = StageResult(stage=settings.stage, **settings.query.model_dump(), result=result)
        await self._call("POST", f"{self._run_url}/results", body.model_dump_json().encode(), HTTPStatus.NO_CONTENT)

    async def _call(self, method: str, url: str, body: bytes | None, wanted: HTTPStatus) -> Answer:
        answer = await self._retry.call(lambda: self._attempt(method, url, body))
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._tokens.discard()
            answer = await self._retry.call(lambda: self._attempt(method, url, body))
        if answer.status != wanted:
            raise _refused(answer, url)
        return answer

    async def _attempt(self, method: str, url: str, body: bytes | None) -> Answer:
        token = await self._tokens.token()
        headers = {"Authorization": f"Bearer {token.reveal()}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await request(method, url, body=body, headers=headers, ca_file=self._settings.api.ca_file)


def _refused(answer: Answer, url: str) -> PlatformError:
    try:
        body = ErrorResponse.model_validate_json(answer.body).error
    except ValidationError:
        return PlatformError(f"{url} answered {answer.status}", component=COMPONENT)
    return PlatformError(
        f"the API refused ({answer.status}): {body.message}", code=ErrorCode.of(body.code), component=COMPONENT
    )
