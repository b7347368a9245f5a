"""T9: a release image of twenty resources packed, pushed and signed, against what the wire needs for its blobs and manifest."""

import asyncio
import hashlib
import http.client
import itertools
from urllib.parse import urlsplit

from images import COMMIT, NAME, Registry, registry, release_files, release_image
from measure import Row, alternating, timed

from forge_oci.core.image import Image
from forge_worker.images import push_signed

TARGET = 3.0
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


async def rows() -> list[Row]:
    numbers = itertools.count(1)
    async with registry() as running:
        floor, measured = await alternating(
            lambda: _bare(running, next(numbers)), lambda: _ours(running, next(numbers))
        )
    ratio = measured / floor
    what = "release image packed, pushed and signed (20 resources), against two blobs and a manifest by a bare client"
    return [Row("T9", what, "ms", floor, measured, ratio, f"<= {TARGET:g}x", ratio <= TARGET)]


async def _ours(running: Registry, number: int) -> float:
    files = release_files(number)

    async def work() -> None:
        image = release_image(files)
        await push_signed(running.client, running.signer, image, f"{NAME}/n{number}", tag=COMMIT)

    return await timed(work)


async def _bare(running: Registry, number: int) -> float:
    image = release_image(release_files(number))
    repository = f"{NAME}/n{number}"

    async def work() -> None:
        await asyncio.to_thread(_push, running.server.host, repository, image)

    return await timed(work)


def _push(host: str, repository: str, image: Image) -> None:
    connection = http.client.HTTPConnection(host)
    for content in (_blob(image, image.manifest.config.digest), _blob(image, image.manifest.layers[0].digest)):
        _push_blob(connection, repository, content)
    headers = {"Content-Type": MANIFEST_TYPE}
    connection.request("PUT", f"/v2/{repository}/manifests/{COMMIT}", image.manifest_bytes, headers)
    _done(connection)
    connection.close()


def _blob(image: Image, digest: str) -> bytes:
    blob = image.blobs[digest]
    return blob if isinstance(blob, bytes) else blob.read_bytes()


def _push_blob(connection: http.client.HTTPConnection, repository: str, content: bytes) -> None:
    connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
    location = urlsplit(_done(connection))
    digest = hashlib.sha256(content).hexdigest()
    query = f"{location.query}&digest=sha256:{digest}".removeprefix("&")
    connection.request("PUT", f"{location.path}?{query}", content)
    _done(connection)


def _done(connection: http.client.HTTPConnection) -> str:
    response = connection.getresponse()
    response.read()
    if response.status >= http.client.BAD_REQUEST:
        raise RuntimeError(f"the registry answered {response.status}")
    return response.headers.get("Location", "")
