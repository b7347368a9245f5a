"""GET requests to one registry over `http.client`: deadline, redirects, authentication, bounded bodies."""

import http.client
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from .authentication import Authentication
from .connection import Answer, Connections
from .deadline import Deadline, TransientFailure
from .errors import CmpError
from .settings import Settings

MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_SERVER_ERROR = 500


class Response(NamedTuple):
    """A complete answer: status 200 or 404."""

    status: int
    body: bytes
    headers: http.client.HTTPMessage


class Transport:
    """Sends requests to the registry of `settings`, each tried again until `deadline` while it fails in passing."""

    def __init__(self, settings: Settings, deadline: Deadline) -> None:
        self._origin = f"{'http' if settings.plain_http else 'https'}://{settings.registry}"
        self._registry, self._plain_http = settings.registry, settings.plain_http
        self._deadline = deadline
        self._connections = Connections(_tls(settings))
        self._authentication = Authentication(settings, deadline, self._connections)

    def get(self, path: str, *, accept: str, limit: int) -> Response:
        """The answer to `GET <path>`, its body at most `limit` bytes.

        Raises `CmpError`: `registry_unreachable` or `registry_unavailable` after the deadline, `unauthorized`,
        `forbidden`, `certificate_untrusted`, `registry_protocol`.
        """
        try:
            return self._deadline.retry(lambda: self._get(path, accept, limit))
        except TransientFailure as failure:
            seconds = f"{self._deadline.seconds:g} s"
            raise CmpError(
                failure.code,
                f"{failure.message}; tried again until the deadline of {seconds}",
                details=(f"registry: {self._registry}", f"request: GET {path}"),
            ) from failure

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _get(self, path: str, accept: str, limit: int) -> Response:
        url = self._origin + path
        headers = {"Accept": accept, **self._authentication.headers()}
        answer = self._send(url, headers, limit)
        if answer.status == http.client.UNAUTHORIZED and self._authentication.answer(answer):
            answer = self._send(url, {"Accept": accept, **self._authentication.headers()}, limit)
        return self._judge(answer, path)

    def _send(self, url: str, headers: Mapping[str, str], limit: int) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._connections.exchange("GET", url, headers, limit=limit, deadline=self._deadline)
            if answer.status not in _REDIRECTS:
                return answer
            target = urljoin(url, answer.headers.get("Location", ""))
            self._check_redirect(target)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            url = target
        raise CmpError("registry_protocol", f"registry {self._registry} redirects more than {MAX_REDIRECTS} times")

    def _check_redirect(self, target: str) -> None:
        scheme = urlsplit(target).scheme
        if scheme != "https" and not (scheme == "http" and self._plain_http):
            raise CmpError("registry_protocol", f"registry {self._registry} redirects to an address that is not https")

    def _judge(self, answer: Answer, path: str) -> Response:
        status = answer.status
        if status in {http.client.OK, http.client.NOT_FOUND}:
            return Response(status, answer.body, answer.headers)
        text = f"registry {self._registry} answered {status}"
        if status == http.client.TOO_MANY_REQUESTS or status >= _SERVER_ERROR:
            raise TransientFailure("registry_unavailable", text, answer.retry_after)
        codes = {401: "unauthorized", 403: "forbidden"}
        code = codes.get(status, "registry_protocol")
        advice = ": check the credentials of the sidecar and their rights" if status in codes else ""
        details = (f"request: GET {path}", f"credentials: {self._authentication.source}", f"answer: {answer.excerpt}")
        raise CmpError(code, text + advice, details=details)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.plain_http:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise CmpError(
            "configuration_invalid", f"{settings.ca_file} is no CA file", file="FORGE_REGISTRY_CA_FILE"
        ) from error
