"""Sends requests to one registry through oras, blocking; everything here runs in threads."""

import ipaddress
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from oras.provider import Registry
from requests.adapters import HTTPAdapter

from forge_oci.core.digests import CHUNK_BYTES
from forge_oci.core.names import validate_host
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError

from .authentication import RegistryAuth
from .credentials import COMPONENT, CredentialSource
from .failures import failure, registry_failed, translated

_CONNECTIONS = 16
_MAX_REDIRECTS = 5


class Transport(Registry):  # type: ignore[misc] # oras has no type annotations
    """oras's registry with time-outs, our authentication, and without its own retries."""

    def __init__(
        self, host: str, *, plain_http: bool, source: CredentialSource | None, ca_file: Path | None, timeout: float
    ) -> None:
        super().__init__(hostname=host, insecure=plain_http, tls_verify=str(ca_file) if ca_file else True)
        self.host = host
        self.auth = RegistryAuth(host, source)
        self.auth.session, self.auth.prefix, self.auth._tls_verify = self.session, self.prefix, self._tls_verify  # noqa: SLF001
        self.session.max_redirects = _MAX_REDIRECTS
        # An authentication that does nothing keeps requests from taking credentials out of ~/.netrc.
        self.session.auth = lambda request: request
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _TimeoutAdapter(timeout))

    def request(
        self,
        method: str,
        url: str,
        *,
        expected: tuple[int, ...],
        headers: dict[str, str] | None = None,
        data: Any = None,
    ) -> requests.Response:
        """Send a request and return the answer, its body unread; the caller closes it.

        `url` is a path below the registry, or a location that the registry gave. Raises a `PlatformError` for any
        status that isn't `expected`.
        """
        url = urljoin(f"{self.prefix}://{self.host}", url)
        sent = {"Accept-Encoding": "identity", **(headers or {}), **self.auth.headers_for(method, url)}
        with translated(self.host):
            # Not the decorated method: its retries take more than two minutes and know no Retry-After.
            response: requests.Response = Registry.do_request.__wrapped__(
                self, url, method, data=data, headers=sent, stream=True
            )
        if response.status_code not in expected:
            raise failure(response)
        return response

    def read(self, response: requests.Response, limit: int) -> bytes:
        """Return an answer's body, at most `limit` bytes of it, and close it."""
        return b"".join(self.chunks(response, limit))

    def chunks(self, response: requests.Response, limit: int, stop: threading.Event | None = None) -> Iterator[bytes]:
        """Yield an answer's body in chunks and close it; ends with an error above `limit` bytes or once stopped."""
        received = 0
        with response, translated(self.host):
            for chunk in response.iter_content(CHUNK_BYTES):
                received += len(chunk)
                if received > limit:
                    raise registry_failed(f"registry {self.host} sent more than the {limit} bytes that are accepted")
                _check_stop(stop)
                yield chunk

    def close(self) -> None:
        """Close the connections."""
        self.session.close()


class FileBody:
    """A file as a request's body: streamed, and read from its beginning again when the request is sent again."""

    def __init__(self, path: Path, size: int, stop: threading.Event) -> None:
        self._path, self._size, self._stop = path, size, stop

    def __len__(self) -> int:
        """Return the size, which becomes the Content-Length."""
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content in chunks."""
        with self._path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                _check_stop(self._stop)
                yield chunk


def check_address(host: str, *, plain_http: bool, allow_remote_plain_http: bool) -> None:
    """Refuse hosts that aren't one, and plain http to another machine; raises `ConfigurationError`."""
    with translated(host):
        validate_host(host)
    if plain_http and not allow_remote_plain_http and not _is_loopback(host):
        raise ConfigurationError(
            f"registry {host} would be reached over plain http: use https, or allow it explicitly", component=COMPONENT
        )


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _check_stop(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise PlatformError("the transfer was cancelled", code=ErrorCode.CANCELLED, component=COMPONENT)


class _TimeoutAdapter(HTTPAdapter):
    """oras passes no time-out, and requests waits forever without one."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        super().__init__(pool_maxsize=_CONNECTIONS)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout
        return super().send(request, *args, **kwargs)
