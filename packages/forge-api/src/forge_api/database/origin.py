"""Who is behind a change, as audit events and events of the platform record it."""

from dataclasses import dataclass

from forge_sdk import telemetry


@dataclass(frozen=True, slots=True)
class Origin:
    """The actor (subject of a token, or `forge-api` for what the platform does itself) and the request it came with."""

    actor: str
    request_id: str | None = None
    trace: str | None = None

    @property
    def trace_id(self) -> str | None:
        """Trace id of the W3C traceparent in `trace`."""
        return telemetry.trace_id(self.trace)


PLATFORM = Origin("forge-api")
