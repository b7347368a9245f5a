"""HTTP exchanges over `http.client`, with every wait and every byte bounded."""

import http.client
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from .deadline import Deadline, TransientFailure
from .errors import CmpError

MAX_WAIT_S = 10.0
CHUNK = 64 * 1024
_EXCERPT = 300
_MAX_RETRY_AFTER_S = 300.0


class Answer(NamedTuple):
    """Status, headers and complete body of an answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """The seconds of a `Retry-After` header, `None` without one (dates are not read)."""
        text = self.headers.get("Retry-After", "").strip()
        return min(float(text), _MAX_RETRY_AFTER_S) if text.isascii() and text.isdigit() else None

    @property
    def excerpt(self) -> str:
        """The beginning of the body, for people."""
        return self.body[:_EXCERPT].decode(errors="replace").strip()


class Connections:
    """Connections to the hosts of one run, each kept open for the next request: a handshake costs more than a request."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        limit: int,
        deadline: Deadline,
        body: bytes | None = None,
    ) -> Answer:
        """Send one request and read the answer, at most `limit` bytes of body.

        Raises `TransientFailure` (`registry_unreachable`) for what the network does, `CmpError` (`certificate_untrusted`,
        `registry_protocol`) for what trying again doesn't change.
        """
        parts = urlsplit(url)
        try:
            return self._exchange(method, url, {"Accept-Encoding": "identity", **headers}, body, (limit, deadline))
        except ssl.SSLCertVerificationError as error:
            raise CmpError(
                "certificate_untrusted",
                f"the certificate of {parts.netloc} is not trusted: set FORGE_REGISTRY_CA_FILE to its authority",
                details=(error.verify_message,),
            ) from error
        except (http.client.IncompleteRead, http.client.RemoteDisconnected, OSError) as error:
            text = f"{parts.netloc} can't be reached: {_text(error)}"
            raise TransientFailure("registry_unreachable", text) from error
        except http.client.HTTPException as error:
            raise CmpError(
                "registry_protocol", f"{parts.netloc} does not speak HTTP: {type(error).__name__}"
            ) from error

    def close(self) -> None:
        """Close what is open."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        bounds: tuple[int, Deadline],
    ) -> Answer:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc)
        kept = self._open.pop(origin, None)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if kept is not None:
            try:
                return self._send(origin, kept, (method, target, body, headers), bounds)
            except (http.client.RemoteDisconnected, ConnectionError):
                pass  # The other side had closed it meanwhile, which says nothing of the request.
        fresh = _connection(url, bounds[1], self._tls)
        return self._send(origin, fresh, (method, target, body, headers), bounds)

    def _send(
        self,
        origin: tuple[str, str],
        connection: http.client.HTTPConnection,
        request: tuple[str, str, bytes | None, Mapping[str, str]],
        bounds: tuple[int, Deadline],
    ) -> Answer:
        limit, deadline = bounds
        try:
            if connection.sock is not None:
                connection.sock.settimeout(_wait(deadline))
            connection.request(*request)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, _read(connection, response, limit, deadline))
            response.close()
        except BaseException:
            connection.close()
            raise
        self._open[origin] = connection
        return answer


def _connection(url: str, deadline: Deadline, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    wait = _wait(deadline)
    try:
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=wait)
        return http.client.HTTPSConnection(host, port, timeout=wait, context=tls)
    except (ValueError, http.client.InvalidURL) as error:
        raise CmpError("registry_protocol", f"{url[:200]!r} is not an address") from error


def _read(
    connection: http.client.HTTPConnection, response: http.client.HTTPResponse, limit: int, deadline: Deadline
) -> bytes:
    content = bytearray()
    while chunk := response.read1(CHUNK):
        content += chunk
        if len(content) > limit:
            raise CmpError("too_large", f"{connection.host} sent more than the {limit} bytes that are accepted")
        if connection.sock is not None:
            # A server that sends a byte now and then would otherwise outlast every time-out.
            connection.sock.settimeout(_wait(deadline))
    if response.length:
        raise http.client.IncompleteRead(bytes(content), response.length)
    return bytes(content)


def _wait(deadline: Deadline) -> float:
    remaining = deadline.remaining
    if remaining <= 0:
        raise TransientFailure("registry_unreachable", "the time for this run is over")
    return min(MAX_WAIT_S, remaining)


def _text(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
