"""Errors of the NATS client, translated once."""

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
import nats.js.errors

from forge_sdk.errors import ErrorCode, PlatformError, TransientError

COMPONENT = "dispatch"
_AWAY = (
    nats.errors.TimeoutError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.StaleConnectionError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.NoServersError,
    nats.errors.NoRespondersError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.ServiceUnavailableError,
    nats.js.errors.ServerError,
    OSError,
)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raises what the NATS client raises as `TransientError` or `PlatformError`, saying `what` was attempted."""
    try:
        yield
    except nats.errors.MaxPayloadError as error:
        raise PlatformError(
            f"{what}: the message is larger than the NATS server's max_payload: keep large values in object storage",
            code=ErrorCode.VALIDATION_ERROR,
            component=COMPONENT,
        ) from error
    except _AWAY as error:
        raise TransientError(f"{what}: NATS did not answer ({reason(error)})", component=COMPONENT) from error
    except nats.errors.Error as error:
        raise PlatformError(f"{what}: NATS refused ({reason(error)})", component=COMPONENT) from error


def reason(error: BaseException) -> str:
    """What NATS said."""
    return getattr(error, "description", None) or str(error) or type(error).__name__
