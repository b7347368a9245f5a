"""Translates what registries and the HTTP library answer into errors of the platform, once, at the edge."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
from pydantic import JsonValue

from forge_oci.core.errors import OciError
from forge_sdk.errors import AuthenticationError, ConfigurationError, ErrorCode, PlatformError, TransientError

from .credentials import COMPONENT

_ANSWER_BYTES = 4096
_ANSWER_CHARACTERS = 500
_SERVER_ERROR = 500


def failure(response: requests.Response) -> PlatformError:
    """Return the error for an answer that wasn't expected; reads at most a few kilobytes of it and closes it."""
    status, host = response.status_code, _host(response)
    answer = _answer(response)
    context: dict[str, JsonValue] = {"status": status, "registry": host}
    if status in {401, 403}:
        text = (
            f"registry {host} refused the request ({status}): {answer}; check the credentials for it and their rights"
        )
        return AuthenticationError(text, component=COMPONENT, context=context)
    text = f"registry {host} answered {status}: {answer}"
    if status in {408, 429} or status >= _SERVER_ERROR:
        code = ErrorCode.RATE_LIMITED if status == 429 else ErrorCode.UNAVAILABLE  # noqa: PLR2004
        return TransientError(text, code=code, component=COMPONENT, context=context, retry_after=_retry_after(response))
    code = ErrorCode.NOT_FOUND if status == 404 else ErrorCode.REGISTRY_FAILED  # noqa: PLR2004
    return PlatformError(text, code=code, component=COMPONENT, context=context)


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Turn the HTTP library's exceptions, and those of `forge_oci.core`, into errors of the platform."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise ConfigurationError(
            f"registry {host} has a certificate that is not trusted: configure its CA file", component=COMPONENT
        ) from error
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    ) as error:
        raise TransientError(
            f"registry {host} cannot be reached: check its address and the network", component=COMPONENT
        ) from error
    except requests.RequestException as error:
        raise registry_failed(f"the request to registry {host} failed: {type(error).__name__}") from error
    except OciError as error:
        raise refused(error) from error


def refused(error: OciError) -> PlatformError:
    """Return the error for content that isn't what it should be; the reason is in its context."""
    return registry_failed(str(error), reason=error.reason.value)


def registry_failed(message: str, **context: str) -> PlatformError:
    """Return a final error of a registry."""
    return PlatformError(message, code=ErrorCode.REGISTRY_FAILED, component=COMPONENT, context=dict(context))


def _host(response: requests.Response) -> str:
    return urlsplit(str(response.url)).netloc.rpartition("@")[2]


def _answer(response: requests.Response) -> str:
    """Return the registry's own words, trimmed: codes and messages where it sent the specified JSON."""
    try:
        content = next(response.iter_content(_ANSWER_BYTES), b"")
    except requests.RequestException:
        content = b""
    finally:
        response.close()
    try:
        errors = json.loads(content)["errors"]
        text = "; ".join(f"{entry['code']}: {entry.get('message', '')}" for entry in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        text = content.decode(errors="replace").strip() or str(response.reason)
    return text[:_ANSWER_CHARACTERS]


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
