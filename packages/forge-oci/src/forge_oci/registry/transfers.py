"""Blobs and manifests over a transport, blocking; everything is verified on the way in."""

import hashlib
import threading
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import requests

from forge_oci.core.canonical import MAX_DOCUMENT_BYTES
from forge_oci.core.digests import digest_bytes
from forge_oci.core.errors import FormatError, Reason
from forge_oci.core.image import Blob, verify_manifest_digest
from forge_oci.core.manifest import DOCKER_MANIFEST_TYPE, INDEX_TYPE, MANIFEST_TYPE, Descriptor

from .failures import refused, registry_failed
from .transport import FileBody, Transport

_DOCKER_INDEX_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
_ACCEPT = f"{MANIFEST_TYPE}, {INDEX_TYPE}, {DOCKER_MANIFEST_TYPE}, {_DOCKER_INDEX_TYPE}"
_MAX_PAGES = 1000
_NOT_FOUND = 404


def upload_blob(
    transport: Transport, repository: str, descriptor: Descriptor, blob: Blob, stop: threading.Event
) -> None:
    """Upload a blob unless the registry has it."""
    with transport.request("HEAD", _blob_path(repository, descriptor.digest), expected=(200, 404)) as response:
        if response.status_code != _NOT_FOUND:
            return
    with transport.request(
        "POST", f"/v2/{repository}/blobs/uploads/", expected=(202,), headers={"Content-Length": "0"}
    ) as response:
        location = urljoin(response.url, response.headers.get("Location", ""))
    separator = "&" if urlsplit(location).query else "?"
    # An empty body has no length for requests and would be sent chunked, as bytes it is sent with length 0.
    body = FileBody(blob, descriptor.size, stop) if isinstance(blob, Path) and descriptor.size else b""
    transport.request(
        "PUT",
        f"{location}{separator}digest={quote(descriptor.digest)}",
        expected=(201,),
        headers={"Content-Type": "application/octet-stream"},
        data=blob if isinstance(blob, bytes) else body,
    ).close()


def download_blob(transport: Transport, repository: str, descriptor: Descriptor) -> bytes:
    """Return a blob, verified."""
    response = transport.request("GET", _blob_path(repository, descriptor.digest), expected=(200,))
    content = transport.read(response, descriptor.size)
    _check_blob(descriptor, len(content), digest_bytes(content))
    return content


def download_blob_to(
    transport: Transport, repository: str, descriptor: Descriptor, path: Path, stop: threading.Event
) -> None:
    """Write a blob to a file, verified; the file is removed where it isn't what it should be."""
    response = transport.request("GET", _blob_path(repository, descriptor.digest), expected=(200,))
    size, digest = 0, hashlib.sha256()
    try:
        with path.open("wb") as stream:
            for chunk in transport.chunks(response, descriptor.size, stop):
                digest.update(chunk)
                size += stream.write(chunk)
        _check_blob(descriptor, size, f"sha256:{digest.hexdigest()}")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def fetch_manifest(transport: Transport, repository: str, reference: str) -> bytes | None:
    """Return a manifest's exact bytes, verified against the digest asked for; None where there is none."""
    response = transport.request(
        "GET", f"/v2/{repository}/manifests/{reference}", expected=(200, 404), headers={"Accept": _ACCEPT}
    )
    if response.status_code == _NOT_FOUND:
        response.close()
        return None
    content = transport.read(response, MAX_DOCUMENT_BYTES)
    promised = reference if reference.startswith("sha256:") else response.headers.get("Docker-Content-Digest", "")
    if promised.startswith("sha256:"):
        try:
            verify_manifest_digest(content, promised)
        except FormatError as error:
            raise refused(error) from error
    return content


def resolve_digest(transport: Transport, repository: str, reference: str) -> str | None:
    """Return the digest that a tag names, None where there is no such tag."""
    with transport.request(
        "HEAD", f"/v2/{repository}/manifests/{reference}", expected=(200, 404), headers={"Accept": _ACCEPT}
    ) as response:
        if response.status_code == _NOT_FOUND:
            return None
        digest = response.headers.get("Docker-Content-Digest")
    if digest is None:
        content = fetch_manifest(transport, repository, reference)
        digest = digest_bytes(content) if content is not None else None
    return digest


def put_manifest(transport: Transport, repository: str, reference: str, content: bytes, media_type: str) -> bool:
    """Write a manifest; tells whether the registry said that it registered the manifest's subject."""
    with transport.request(
        "PUT",
        f"/v2/{repository}/manifests/{reference}",
        expected=(201,),
        headers={"Content-Type": media_type},
        data=content,
    ) as response:
        return "OCI-Subject" in response.headers


def get_pages(transport: Transport, path: str, accept: str) -> list[bytes] | None:
    """Return the pages of a list, following `Link`; None where there is no such list."""
    pages: list[bytes] = []
    url: str | None = path
    while url is not None:
        response = transport.request("GET", url, expected=(200, 404), headers={"Accept": accept})
        if response.status_code == _NOT_FOUND:
            response.close()
            return pages or None
        if len(pages) == _MAX_PAGES:
            response.close()
            raise registry_failed(f"registry {transport.host} sent more than {_MAX_PAGES} pages of one list")
        pages.append(transport.read(response, MAX_DOCUMENT_BYTES))
        url = _next_page(response, transport.host)
    return pages


def _next_page(response: requests.Response, host: str) -> str | None:
    link = response.links.get("next", {}).get("url")
    if not link:
        return None
    url = urljoin(response.url, link)
    if urlsplit(url).netloc != host:
        raise registry_failed(f"registry {host} names a next page on another host")
    return url


def _blob_path(repository: str, digest: str) -> str:
    return f"/v2/{repository}/blobs/{digest}"


def _check_blob(descriptor: Descriptor, size: int, digest: str) -> None:
    if size != descriptor.size:
        raise refused(
            FormatError(
                Reason.SIZE_MISMATCH,
                f"blob {descriptor.digest} has {size} bytes, its descriptor says {descriptor.size}",
            )
        )
    if digest != descriptor.digest:
        raise refused(
            FormatError(Reason.DIGEST_MISMATCH, f"the content of blob {descriptor.digest} has another digest")
        )
