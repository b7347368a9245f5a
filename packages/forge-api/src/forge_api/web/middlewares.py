"""What happens around every request: identifiers, metrics, and errors as the specification shapes them."""

import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from forge_api.services import Services
from forge_api.web.context import CONTEXT, REQUEST_ID_HEADER, context_of
from forge_api.web.errors import http_error, internal_error, is_expected, platform_error
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.telemetry import span, traceparent

SERVICES = web.AppKey("services", Services)
UNMATCHED = "unmatched"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_logger = get_logger("forge_api.web")


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its identifiers, in logs and in the answer's header."""
    context = context_of(request)
    request[CONTEXT] = context
    bound = structlog.contextvars.bind_contextvars(request_id=context.request_id, trace_id=context.trace_id)
    try:
        with span(f"{request.method} {_route(request)}", kind="server", parent=context.trace):
            if (current := traceparent()) not in {None, context.trace}:
                context = context.within(current)
                request[CONTEXT] = context
            response = await handler(request)
    finally:
        structlog.contextvars.reset_contextvars(**bound)
    if not response.prepared:
        response.headers[REQUEST_ID_HEADER] = context.request_id
    return response


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Observe the time to the answer."""
    start = time.perf_counter()
    response = await handler(request)
    if not isinstance(response, web.Response):
        # A stream takes as long as what it shows.
        return response
    route = _route(request)
    method = request.method if route != UNMATCHED else UNMATCHED
    request.app[SERVICES].metrics.request_answered(method, route, response.status, time.perf_counter() - start)
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn exceptions into answers; what was not expected is logged with its traceback and hidden from the caller."""
    trace_id = request[CONTEXT].trace_id
    try:
        return await handler(request)
    except PlatformError as error:
        if error.transient:
            _logger.warning("request_unavailable", error=str(error), component=error.component)
        elif not is_expected(error):
            _logger.exception("request_failed")
        return platform_error(error, trace_id)
    except web.HTTPException as error:
        return http_error(error, trace_id)
    except Exception:
        _logger.exception("request_failed")
        return internal_error(trace_id)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNMATCHED


MIDDLEWARES: tuple[Middleware, ...] = (identify, measure, answer_errors)
