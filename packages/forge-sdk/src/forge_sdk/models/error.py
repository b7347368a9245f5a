"""How an error travels between processes."""

from datetime import UTC, datetime

from pydantic import Field, JsonValue

from forge_sdk.models.base import WireModel


class ErrorDetail(WireModel):
    """A `PlatformError` as JSON, with the error below it in `cause`."""

    code: str
    message: str
    component: str = ""
    context: dict[str, JsonValue] = Field(default_factory=dict)
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    trace_id: str | None = None
    transient: bool = False
    cause: "ErrorDetail | None" = None


class ErrorBody(WireModel):
    """The `error` member of an API answer."""

    code: str
    message: str
    details: list[dict[str, JsonValue]] = Field(default_factory=list)
    trace_id: str | None = None


class ErrorResponse(WireModel):
    """Body of every API answer that is not a success."""

    error: ErrorBody
