"""Processes of a benchmark."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
READY_S = 30


@asynccontextmanager
async def running(
    *arguments: str, ready: bytes = b"ready", environment: Mapping[str, str] | None = None
) -> AsyncIterator[None]:
    """`python ARGUMENTS` while the block runs, which starts when a line of its output has `ready`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE), **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    if process.stdout is None:
        raise RuntimeError("the output is a pipe")
    seen = b""
    try:
        async with asyncio.timeout(READY_S):
            while ready not in seen:
                line = await process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{' '.join(arguments)} ended: {seen.decode(errors='replace')[-800:]}")
                seen += line
        draining = asyncio.create_task(process.stdout.read())
        yield
        draining.cancel()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 15)
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                os.killpg(process.pid, 9)
                await process.wait()
