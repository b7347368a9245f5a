"""Traces (W3C Trace Context, OpenTelemetry): off unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set and the extra `telemetry` is installed.

Without them a span costs nothing and is seen by nobody, but the context that it was given still travels on. Spans carry
names and identifiers only, never values of the repository and no texts of errors.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

from forge_sdk.errors import ConfigurationError, PlatformError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADER = "traceparent"
ENVIRONMENT = "TRACEPARENT"
"""Variable in which programs find the context that they continue."""
SHUTDOWN_MS = 5_000
Kind = Literal["internal", "server", "client", "producer", "consumer"]

_passed: ContextVar[str | None] = ContextVar("forge_traceparent", default=None)
_provider: "TracerProvider | None" = None


def configure(service: str) -> bool:
    """Send the spans of this process as `service`, where the environment names a collector; whether it does.

    Called once, at the start. Raises `ConfigurationError` where a collector is named and OpenTelemetry is not installed.
    """
    global _provider  # noqa: PLW0603 - tracing belongs to the process, as its logs do
    if not os.environ.get(ENDPOINT) or _provider is not None:
        return _provider is not None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            f"{ENDPOINT} is set, but OpenTelemetry is not installed: pip install 'catalyst-forge-sdk[telemetry]'",
            component="telemetry",
        ) from error
    _provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return True


def shutdown() -> None:
    """Send what is waiting, for a few seconds at most, and stop. Blocks."""
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        provider.force_flush(SHUTDOWN_MS)
        provider.shutdown()


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    attributes: Mapping[str, str | int] | None = None,
) -> AbstractContextManager[None]:
    """A span around a block; `parent` is a traceparent from another process, else the span around this one is it.

    An error that leaves the block marks the span with the error's code or type.
    """
    return _passing(parent) if _provider is None else _recording(_provider, name, kind, parent, attributes)


@contextmanager
def _recording(
    provider: "TracerProvider", name: str, kind: Kind, parent: str | None, attributes: Mapping[str, str | int] | None
) -> Iterator[None]:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({HEADER: parent}) if parent else None
    with provider.get_tracer("catalyst-forge").start_as_current_span(
        name,
        context=context,
        kind=trace.SpanKind[kind.upper()],
        attributes={f"forge.{key}": value for key, value in (attributes or {}).items()},
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except BaseException as error:
            _fail(current, error)
            raise


def failed(code: str) -> None:
    """Mark the span around the caller as failed, where no exception says so."""
    if _provider is None:
        return
    from opentelemetry import trace

    trace.get_current_span().set_status(trace.StatusCode.ERROR, code)


def trace_id(context: str | None) -> str | None:
    """The trace's id in a traceparent (https://www.w3.org/TR/trace-context/), by which logs and errors name it."""
    parts = context.split("-") if context is not None else []
    return parts[1] if len(parts) > 1 else None


def traceparent() -> str | None:
    """The context of the span around the caller as a traceparent, for another process; `None` where there is none."""
    if _provider is None:
        return _passed.get()
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(HEADER)


def environment() -> dict[str, str]:
    """What a program gets to continue the trace."""
    context = traceparent()
    return {ENVIRONMENT: context} if context else {}


@contextmanager
def _passing(parent: str | None) -> Iterator[None]:
    if parent is None:
        yield
        return
    token = _passed.set(parent)
    try:
        yield
    finally:
        _passed.reset(token)


def _fail(current: "Span", error: BaseException) -> None:
    from opentelemetry.trace import StatusCode

    code = error.code.value if isinstance(error, PlatformError) else type(error).__name__
    current.set_status(StatusCode.ERROR, code)
