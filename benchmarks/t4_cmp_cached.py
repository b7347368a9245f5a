"""T4: `forge-cmp generate` for a release that its cache holds, which is what Argo CD asks for at every refresh."""

import asyncio
import sys

from images import application, publish_release, registry
from measure import Row, SkippedError, alternating, timed

TARGET = 3.0


async def rows() -> list[Row]:
    async with registry() as running:
        image = await publish_release(running, artifacts=True)
        prepared = application(running, image.digest, FORGE_CACHE_DIR=str(running.folder / "cache"))

        async def run(command: list[str]) -> None:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=prepared.folder, env=prepared.environment, stdout=asyncio.subprocess.PIPE
            )
            await process.communicate()
            if process.returncode != 0:
                raise SkippedError(f"{command[0]} failed")

        floor, measured = await alternating(
            lambda: timed(lambda: run([sys.executable, "-c", "pass"])),
            lambda: timed(lambda: run(prepared.command)),
            repetitions=15,
        )
    ratio = measured / floor
    what = "`forge-cmp generate`, cached, against the interpreter's start"
    return [Row("T4", what, "ms", floor, measured, ratio, f"<= {TARGET:g}x", ratio <= TARGET)]
