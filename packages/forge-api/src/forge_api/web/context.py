"""Identifiers of a request: its own, and that of the trace it belongs to (W3C Trace Context)."""

import re
import secrets
from dataclasses import dataclass, replace

from aiohttp import web

REQUEST_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """`trace` is the traceparent that everything done for the request carries on."""

    request_id: str
    trace: str

    def within(self, trace: str | None) -> "RequestContext":
        """The same request, in the span that carries on its trace."""
        return replace(self, trace=trace) if trace else self

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hex digits."""
        return self.trace.split("-")[1]


CONTEXT = web.RequestKey("context", RequestContext)


def context_of(http: web.Request) -> RequestContext:
    """The identifiers that the caller gave where they are well formed, else new ones."""
    request_id = http.headers.get(REQUEST_ID_HEADER, "")
    trace = http.headers.get("traceparent", "").strip()
    made = secrets.token_hex(40)
    return RequestContext(
        request_id if _REQUEST_ID.fullmatch(request_id) else made[:32],
        trace if _TRACEPARENT.fullmatch(trace) else f"00-{made[32:64]}-{made[64:]}-01",
    )
