"""The floor of T7: aiohttp, asyncpg and orjson read one row by its key. `python api_floor.py PORT DSN`."""

import asyncio
import sys
import uuid

import asyncpg
import orjson
import uvloop
from aiohttp import web

QUERY = "select * from pipeline_runs where id = $1"


async def main(port: int, dsn: str) -> None:
    async def nothing(_: object) -> None:
        return

    pool = await asyncpg.create_pool(dsn, min_size=10, max_size=10, reset=nothing)
    turn = asyncio.Semaphore(10)

    async def read(request: web.Request) -> web.Response:
        async with turn, pool.acquire() as connection:
            row = await connection.fetchrow(QUERY, uuid.UUID(request.match_info["id"]))
        return web.Response(body=orjson.dumps(dict(row), default=str), content_type="application/json")

    application = web.Application()
    application.router.add_get("/v1/runs/{id}", read)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main(int(sys.argv[1]), sys.argv[2]))
