"""Requests and results as the frames that the Go program reads and writes (its protocol.go)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from forge_cue.errors import EvaluatorError
from forge_cue.model import (
    Attribute,
    CueError,
    EvaluationRequest,
    EvaluationResponse,
    EvaluationResult,
    Fill,
    Instance,
    Position,
    Schema,
)


def encode(request: EvaluationRequest) -> bytes:
    """Writes a request; raises `EvaluatorError` for a value to fill that JSON can't hold."""
    document = {
        "instances": [_instance(one) for one in request.instances],
        "schema": _schema(request.schema),
        "fills": _fills(request.fills),
    }
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise EvaluatorError(f"the request can't be written as JSON: {error}") from error


def decode(body: bytes) -> dict[str, Any]:
    """Reads a frame of the process as an object."""
    document = json.loads(body)
    if not isinstance(document, dict):
        raise EvaluatorError("the evaluator's answer is no JSON object")
    return document


def response(document: Mapping[str, Any]) -> EvaluationResponse:
    """Makes the response of a decoded frame."""
    return EvaluationResponse(
        results=[_result(one) for one in document["results"]],
        errors=[_error(one) for one in document["errors"]],
    )


def _instance(one: Instance) -> dict[str, Any]:
    return {
        "name": one.name,
        "package": one.package,
        "files": dict(one.files),
        "schema": one.schema,
        "require_concrete": one.require_concrete,
        "fills": _fills(one.fills),
    }


def _schema(schema: Schema | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    return {"files": dict(schema.files), "package": schema.package, "import_path": schema.import_path}


def _fills(fills: Sequence[Fill]) -> list[dict[str, Any]]:
    return [{"attribute": one.attribute, "arguments": one.arguments, "value": one.value} for one in fills]


def _result(one: Mapping[str, Any]) -> EvaluationResult:
    return EvaluationResult(
        name=one["name"],
        value=one.get("value"),
        attributes=[_attribute(found) for found in one["attributes"]],
        positions=_positions(one["positions"]),
        errors=[_error(found) for found in one["errors"]],
        open=one["open"],
        partial=one.get("partial"),
    )


def _positions(columns: Mapping[str, Any]) -> dict[str, Position]:
    files = map(columns["files"].__getitem__, columns["file"])
    places = map(Position, files, columns["lines"], columns["columns"])
    return dict(zip(columns["paths"], places, strict=True))


def _attribute(one: Mapping[str, Any]) -> Attribute:
    return Attribute(
        name=one["name"],
        arguments=tuple(one["positional"]),
        named=one["named"],
        body=one["body"],
        position=Position(*one["position"]),
        paths=tuple(one["paths"]),
    )


def _error(one: Mapping[str, Any]) -> CueError:
    return CueError(
        message=one["message"],
        path=one["path"],
        positions=tuple(Position(*at) for at in one["positions"]),
        kind=one["kind"],
        allowed=tuple(one.get("allowed", ())),
    )
