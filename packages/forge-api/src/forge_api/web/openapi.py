"""The OpenAPI 3.1 document, derived from the table of routes and their models."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from forge_api import __version__
from forge_api.web.routing import Route
from forge_sdk.models.error import ErrorResponse

REFERENCE = "#/components/schemas/{model}"
Entry = tuple[type[BaseModel], JsonSchemaMode]
Schemas = Mapping[Any, dict[str, Any]]
"""JSON Schema of each entry; pydantic types the keys more widely than an entry."""
_VARIABLE = re.compile(r"\{(\w+)\}")


def document(routes: Sequence[Route]) -> bytes:
    """The document as JSON, with sorted keys, so that it can be compared."""
    schemas, definitions = models_json_schema(_models(routes), ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    content = {
        "openapi": "3.1.0",
        "info": {"title": "Catalyst Forge Platform API", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def _models(routes: Iterable[Route]) -> list[Entry]:
    found: set[Entry] = {(ErrorResponse, "serialization")}
    for route in routes:
        found |= {(model, "validation") for model in (route.body,) if model is not None}
        found |= {(model, "serialization") for model in route.answers.values() if model is not None}
    return sorted(found, key=lambda entry: (entry[0].__name__, entry[1]))


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [*_parameters(route.path_model, "path", route), *_parameters(route.query, "query", route)],
        "responses": _responses(route, schemas),
        "security": [] if route.roles is None else [{"bearer": []}],
    }
    if route.roles is not None:
        operation["x-roles"] = sorted(route.roles)
    if route.body is not None:
        schema = schemas[(route.body, "validation")]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _responses(route: Route, schemas: Schemas) -> dict[str, Any]:
    error = schemas[(ErrorResponse, "serialization")]
    responses: dict[str, Any] = {
        "default": {"description": "An error", "content": {"application/json": {"schema": error}}}
    }
    for status, model in route.answers.items():
        responses[str(status.value)] = {"description": status.phrase}
        if model is not None:
            content = {"application/json": {"schema": schemas[(model, "serialization")]}}
            responses[str(status.value)]["content"] = content
        elif route.content_type != "application/json":
            responses[str(status.value)]["content"] = {route.content_type: {"schema": {"type": "string"}}}
    if route.conditional:
        status = HTTPStatus.NOT_MODIFIED
        responses[str(status.value)] = {"description": status.phrase}
    return responses


def _parameters(model: type[BaseModel] | None, place: str, route: Route) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    variables = _VARIABLE.findall(route.path)
    return [
        {
            "name": name,
            "in": place,
            "required": name in variables,
            "schema": _inlined(field, definitions),
        }
        for name, field in schema["properties"].items()
    ]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(value, definitions) for name, value in schema.items()}
