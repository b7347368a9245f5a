"""T5: `forge-cmp generate` for a release that its cache does not hold, against a loopback registry."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from images import NAME, Application, application, publish_release, registry
from measure import Row, SkippedError, alternating, timed

PLAIN, VERIFIED = 1.3, 1.8
# Interpreter, http.client, one manifest and one blob: what any client in Python has to do.
FLOOR = """
import http.client, json, sys
host, name, digest = sys.argv[1:]
def get(path):
    connection = http.client.HTTPConnection(host)
    connection.request("GET", path, headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
    return connection.getresponse().read()
manifest = json.loads(get(f"/v2/{name}/manifests/{digest}"))
get(f"/v2/{name}/blobs/{manifest['layers'][0]['digest']}")
"""


async def rows() -> list[Row]:
    found = []
    async with registry() as running:
        bare = await publish_release(running, artifacts=False)
        unverified = application(running, bare.digest, FORGE_REQUIRE_SIGNATURE="false")
        floor_command = [sys.executable, "-c", FLOOR, running.server.host, NAME, bare.digest]
        cases = [
            ("T5.1", "without verification", {"FORGE_REQUIRE_SIGNATURE": "false"}, PLAIN),
            ("T5.2", "the release's signature verified", {"FORGE_REQUIRE_PROVENANCE": "false"}, VERIFIED),
            ("T5.3", "signature, and signature and provenance of one artifact", {}, None),
        ]
        sealed = await publish_release(running, artifacts=True)
        for name, what, changes, target in cases:
            digest = sealed.digest if target is None else bare.digest
            prepared = application(running, digest, **changes)
            floor, measured = await alternating(
                _timed(floor_command, unverified), _timed(prepared.command, prepared), repetitions=11
            )
            ratio = measured / floor
            met = None if target is None else ratio <= target
            text = "no target" if target is None else f"<= {target:g}x"
            found.append(
                Row(name, f"`forge-cmp generate`, not cached, {what}", "ms", floor, measured, ratio, text, met)
            )
    return found


def _timed(command: list[str], prepared: Application) -> Callable[[], Awaitable[float]]:
    async def run() -> None:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=prepared.folder, env=prepared.environment, stdout=asyncio.subprocess.PIPE
        )
        await process.communicate()
        if process.returncode != 0:
            raise SkippedError(f"{command[0]} failed")

    return lambda: timed(run)
