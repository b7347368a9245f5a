"""HTTP of the standard library, in threads: the dispatcher makes few requests, and a larger library takes longer to import."""

import asyncio
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import JsonValue

from forge_dispatch.failures import COMPONENT
from forge_sdk.errors import ConfigurationError, TransientError

TIMEOUT_S = 30.0
MAX_ANSWER = 64 * 2**20
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes

    def json(self) -> JsonValue:
        """The body as JSON; nothing where it is none."""
        try:
            value: JsonValue = json.loads(self.body)
        except ValueError:
            return None
        return value


async def request(
    method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str], ca_file: Path | None = None
) -> Answer:
    """The answer to one request. `TransientError` where the server can't be reached or says that it can't now."""
    try:
        answer = await asyncio.to_thread(_request, method, url, body, dict(headers), ca_file)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, ssl.SSLCertVerificationError):
            raise ConfigurationError(
                f"the certificate of {url} is not trusted: {error.verify_message}; check FORGE_API_CA_FILE",
                component=COMPONENT,
            ) from error
        raise TransientError(
            f"{url} can't be reached: {str(error) or type(error).__name__}", component=COMPONENT
        ) from error
    if answer.status in TRANSIENT:
        raise TransientError(f"{url} answered {answer.status}", component=COMPONENT)
    return answer


def _request(method: str, url: str, body: bytes | None, headers: dict[str, str], ca_file: Path | None) -> Answer:
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.netloc, ca_file)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers=headers)
        response = connection.getresponse()
        data = response.read(MAX_ANSWER + 1)
        if len(data) > MAX_ANSWER:
            raise http.client.HTTPException(f"the answer is longer than {MAX_ANSWER} bytes")
        return Answer(response.status, data)
    finally:
        connection.close()


def _connection(scheme: str, host: str, ca_file: Path | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, timeout=TIMEOUT_S)
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    return http.client.HTTPSConnection(host, timeout=TIMEOUT_S, context=context)
