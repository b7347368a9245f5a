"""What a route is: one declaration, from which router, authorisation and OpenAPI are derived."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel

from forge_api.auth.roles import Role
from forge_api.web.call import Answer, Call

Handler = Callable[[Call], Awaitable[Answer]]
Method = Literal["GET", "POST", "PUT", "DELETE"]
PUBLIC: None = None
"""Access of routes that need no token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the API.

    `roles`: who may use it (any of them), or `PUBLIC`. `path_model`, `query`, `body`: closed models of what comes in.
    `answers`: model of each successful status; nothing where the body is empty or not JSON. `conditional`: answers
    with an ETag and honours `If-None-Match`. `content_type`: of what is no JSON and has no model.
    """

    method: Method
    path: str
    handler: Handler
    roles: frozenset[Role] | None
    summary: str
    path_model: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    answers: Mapping[HTTPStatus, type[BaseModel] | None] = field(default_factory=lambda: {HTTPStatus.OK: None})
    conditional: bool = False
    content_type: str = "application/json"

    @property
    def name(self) -> str:
        """Operation id: the handler's module and name."""
        module = self.handler.__module__.rpartition(".")[2]
        return f"{module}_{getattr(self.handler, '__name__', 'handler')}"
