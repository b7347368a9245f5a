"""A request as a handler sees it, and what a handler answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel

from forge_api.auth.roles import Principal
from forge_api.database.origin import Origin
from forge_api.services import Services
from forge_api.web.streaming import Stream

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives back: a model as JSON, or raw bytes, or a location to go to, or a stream."""

    model: BaseModel | None = None
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""
    content_type: str = "application/json"
    stream: Stream | None = None

    @property
    def body(self) -> bytes:
        """The body's bytes."""
        return self.raw if self.model is None else self.model.model_dump_json(by_alias=True).encode()


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was authenticated, authorised and validated."""

    services: Services
    principal: Principal
    origin: Origin
    path: BaseModel | None = None
    query: BaseModel | None = None
    body: BaseModel | None = None

    def path_as(self, model: type[Model]) -> Model:
        """The variables of the path."""
        return _typed(self.path, model)

    def query_as(self, model: type[Model]) -> Model:
        """The parameters after the question mark."""
        return _typed(self.query, model)

    def body_as(self, model: type[Model]) -> Model:
        """The body."""
        return _typed(self.body, model)


def _typed(value: BaseModel | None, model: type[Model]) -> Model:
    if not isinstance(value, model):
        raise TypeError(f"the route declares {type(value).__name__}, its handler reads {model.__name__}")
    return value
