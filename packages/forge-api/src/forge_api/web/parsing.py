"""Validation of what comes in: all problems at once, with JSON pointers."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel, JsonValue, ValidationError

from forge_api.web.errors import validation_error

MAX_BODY = 4 * 2**20
"""Bytes; larger requests are refused before they are read whole."""
MAX_PROBLEMS = 100
_NUL = "\x00"


async def read_body(http: web.Request) -> bytes:
    """The body of a request, which must be JSON."""
    data = await http.read()
    if http.content_type != "application/json":
        raise validation_error([{"pointer": "", "message": "Content-Type must be application/json"}])
    return data


def parse_body(model: type[BaseModel], data: bytes) -> BaseModel:
    """The body as `model`; `validation_error` names everything that is wrong."""
    try:
        parsed = model.model_validate_json(data)
    except ValidationError as error:
        raise validation_error(_problems(error)) from None
    if b"\\u0000" in data:
        _refuse_nul(parsed.model_dump(mode="json"))
    return parsed


def parse_fields(model: type[BaseModel], values: Mapping[str, str]) -> BaseModel:
    """Variables of a path or parameters of a query as `model`."""
    try:
        parsed = model.model_validate(dict(values))
    except ValidationError as error:
        raise validation_error(_problems(error)) from None
    _refuse_nul(dict(values))
    return parsed


def pointer(location: Iterable[int | str]) -> str:
    """JSON pointer (RFC 6901) of a place in a document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _problems(error: ValidationError) -> list[dict[str, JsonValue]]:
    found = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_PROBLEMS]
    return [{"pointer": pointer(problem["loc"]), "message": problem["msg"]} for problem in found]


def _refuse_nul(value: Any) -> None:
    """PostgreSQL's text can't hold the character NUL."""
    if places := list(_nul_places(value, ())):
        raise validation_error([{"pointer": pointer(place), "message": "must not hold NUL"} for place in places])


def _nul_places(value: Any, place: tuple[int | str, ...]) -> Iterable[tuple[int | str, ...]]:
    if isinstance(value, str) and _NUL in value:
        yield place
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _nul_places(name, place)
            yield from _nul_places(item, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nul_places(item, (*place, index))
