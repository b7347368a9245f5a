"""`Idempotency-Key`: a POST that is sent twice is carried out once."""

import hashlib
import re
from http import HTTPStatus

from aiohttp import web

from forge_api.database import idempotency
from forge_api.database.idempotency import IdempotentRequest, StoredAnswer
from forge_api.web.call import Answer, Call
from forge_api.web.errors import validation_error
from forge_api.web.routing import Route

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


async def answer_once(route: Route, call: Call, http: web.Request, data: bytes) -> Answer:
    """The answer of the first request with this caller's key; a failed request leaves the key free."""
    key = http.headers[KEY_HEADER]
    if not _KEY.fullmatch(key):
        raise validation_error([{"pointer": "", "message": f"{KEY_HEADER} must be 1 to 128 visible characters"}])
    digest = hashlib.sha256(b"\x00".join((http.method.encode(), http.path_qs.encode(), data))).hexdigest()
    request = IdempotentRequest(call.principal.subject, key, digest)
    database = call.services.database
    async with database.connection() as connection:
        stored = await idempotency.claim(connection, request)
    if stored is not None:
        return Answer(raw=stored.body, status=HTTPStatus(stored.status), headers={REPLAYED_HEADER: "true"})
    try:
        answer = await route.handler(call)
    except BaseException:
        async with database.connection() as connection:
            await idempotency.release(connection, request)
        raise
    async with database.connection() as connection:
        await idempotency.complete(connection, request, StoredAnswer(answer.status, answer.body))
    return answer
