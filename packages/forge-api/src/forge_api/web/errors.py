"""Errors as answers: `{"error": {"code", "message", "details", "trace_id"}}`."""

from http import HTTPStatus

from aiohttp import web
from pydantic import JsonValue

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.error import ErrorBody, ErrorResponse

STATUS_OF_CODE = {
    ErrorCode.AUTHENTICATION_REQUIRED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.STALE_TOKEN: HTTPStatus.CONFLICT,
    ErrorCode.DEPLOYMENT_REFUSED: HTTPStatus.CONFLICT,
    ErrorCode.VALIDATION_ERROR: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Codes that a caller may see; every other error is `internal_error` to the outside."""
_CODE_OF_HTTP = {
    HTTPStatus.NOT_FOUND: ErrorCode.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: ErrorCode.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorCode.VALIDATION_ERROR,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ErrorCode.VALIDATION_ERROR,
}
_INTERNAL = "the platform failed to answer; give the trace id to its operators"
_UNAVAILABLE = "the platform can't answer now: try again shortly"


def is_expected(error: PlatformError) -> bool:
    """Whether the error is an answer to the caller, and not a fault of the platform."""
    return error.transient or error.code in STATUS_OF_CODE


def platform_error(error: PlatformError, trace_id: str | None) -> web.Response:
    """The answer for an error of ours."""
    if error.transient and error.component != "api":
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.UNAVAILABLE, _UNAVAILABLE, trace_id)
    status = STATUS_OF_CODE.get(error.code)
    if status is None:
        return internal_error(trace_id)
    # What the database says of a conflict names its own tables.
    details = [] if error.component == "database" else _details(error)
    response = _answer(status, error.code, error.message, trace_id, details)
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(int(error.retry_after) + 1)
    return response


def http_error(error: web.HTTPException, trace_id: str | None) -> web.Response:
    """The answer for an error that aiohttp found."""
    status = HTTPStatus(error.status)
    code = _CODE_OF_HTTP.get(status, ErrorCode.VALIDATION_ERROR)
    response = _answer(status, code, error.reason, trace_id)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def internal_error(trace_id: str | None) -> web.Response:
    """The answer for a fault of the platform: nothing internal leaks."""
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorCode.INTERNAL_ERROR, _INTERNAL, trace_id)


def validation_error(problems: list[dict[str, JsonValue]]) -> PlatformError:
    """The error for a request that is wrong in what `problems` (`pointer`, `message`) say."""
    shown = "; ".join(f"{problem['pointer'] or '/'}: {problem['message']}" for problem in problems[:5])
    return PlatformError(
        f"the request is not valid: {shown}",
        code=ErrorCode.VALIDATION_ERROR,
        component="api",
        context={"problems": [*problems]},
    )


def _details(error: PlatformError) -> list[dict[str, JsonValue]]:
    problems = error.context.get("problems")
    if error.code is ErrorCode.VALIDATION_ERROR and isinstance(problems, list):
        return [problem for problem in problems if isinstance(problem, dict)]
    return [error.context] if error.context else []


def _answer(
    status: HTTPStatus,
    code: ErrorCode,
    message: str,
    trace_id: str | None,
    details: list[dict[str, JsonValue]] | None = None,
) -> web.Response:
    body = ErrorResponse(error=ErrorBody(code=code.value, message=message, details=details or [], trace_id=trace_id))
    return web.Response(status=status, body=body.model_dump_json().encode(), content_type="application/json")
