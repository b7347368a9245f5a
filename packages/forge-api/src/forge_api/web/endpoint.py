"""From an HTTP request to a route's handler and back."""

import hashlib
from http import HTTPStatus

from aiohttp import hdrs, web
from pydantic import BaseModel

from forge_api.auth.roles import Principal, require_role
from forge_api.auth.verifier import bearer_token
from forge_api.database.origin import Origin
from forge_api.services import Services
from forge_api.web.call import Answer, Call
from forge_api.web.context import CONTEXT
from forge_api.web.idempotency import KEY_HEADER, answer_once
from forge_api.web.middlewares import SERVICES, Handler
from forge_api.web.parsing import parse_body, parse_fields, read_body
from forge_api.web.routing import Route
from forge_api.web.streaming import send
from forge_sdk.models.base import ClosedModel


class NoQuery(ClosedModel):
    """The parameters of a route that takes none."""


ANONYMOUS = Principal("anonymous", "anonymous", frozenset())


def endpoint(route: Route) -> Handler:
    """The aiohttp handler of a route: authentication, authorisation, validation, then the route's own handler."""

    async def handle(http: web.Request) -> web.StreamResponse:
        services = http.app[SERVICES]
        principal = await _principal(services, route, http)
        data = await read_body(http) if route.body is not None else b""
        call = _call(services, principal, route, http, data)
        key = http.headers.get(KEY_HEADER)
        if route.method == "POST" and key is not None:
            answer = await answer_once(route, call, http, data)
        else:
            answer = await route.handler(call)
        if answer.stream is not None:
            return await send(http, answer.stream)
        return _conditional(http, answer) if route.conditional else _response(answer)

    return handle


async def _principal(services: Services, route: Route, http: web.Request) -> Principal:
    if route.roles is None:
        return ANONYMOUS
    principal = await services.verifier.verify(bearer_token(http.headers.get(hdrs.AUTHORIZATION)))
    require_role(principal, route.roles)
    return principal


def _call(services: Services, principal: Principal, route: Route, http: web.Request, data: bytes) -> Call:
    context = http[CONTEXT]
    path: BaseModel | None = parse_fields(route.path_model, http.match_info) if route.path_model else None
    query: BaseModel | None = None
    if route.roles is not None:
        query = parse_fields(route.query or NoQuery, http.query)
    body: BaseModel | None = parse_body(route.body, data) if route.body else None
    origin = Origin(principal.name, context.request_id, context.trace)
    return Call(services, principal, origin, path, query, body)


def _conditional(http: web.Request, answer: Answer) -> web.Response:
    body = answer.body
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {hdrs.ETAG: tag, hdrs.CACHE_CONTROL: "private, no-cache"}
    if hdrs.IF_NONE_MATCH in http.headers:
        known = {entry.value for entry in http.if_none_match or ()}
        if known & {tag.strip('"'), "*"}:
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(status=answer.status, body=body, headers={hdrs.CONTENT_TYPE: answer.content_type, **headers})


def _response(answer: Answer) -> web.Response:
    body = answer.body
    headers = {hdrs.CACHE_CONTROL: "no-store", **answer.headers}
    if not body:
        return web.Response(status=answer.status, headers=headers)
    return web.Response(status=answer.status, body=body, headers={hdrs.CONTENT_TYPE: answer.content_type, **headers})
