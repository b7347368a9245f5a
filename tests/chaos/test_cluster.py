"""A cluster of three NATS servers that loses its leader in the middle of a run: dispatcher and worker go on."""

import asyncio
import os
import subprocess
import sys
from uuid import uuid4

import pytest
import yaml
from aiohttp import web
from jobs import task_of_one_step

from forge_dispatch import Dispatcher, DispatcherSettings
from forge_dispatch.connection import connect
from forge_dispatch.streams import apply_definitions
from forge_sdk.configuration import Nats
from forge_sdk.errors import TransientError
from forge_sdk.messaging import JOBS_BUCKET
from forge_sdk.retry import RetryPolicy
from forge_servers import NatsServer, NatsSettings, free_port
from forge_servers.nats_settings import NatsCluster

NODES = 3
JOBS = 24
PATIENT = RetryPolicy(attempts=60, base_delay=0.2, max_delay=1.0, jitter=0.1)


@pytest.fixture
async def cluster(server_directory):
    """Three servers of one cluster."""
    ports: set[int] = set()
    while len(ports) < NODES:
        ports.add(free_port())
    routes = tuple(f"nats-route://127.0.0.1:{port}" for port in ports)
    servers = [
        NatsServer(
            server_directory(f"node{number}"),
            settings=NatsSettings(
                server_name=f"node{number}", cluster=NatsCluster(name="catalyst-forge", port=port, routes=routes)
            ),
        )
        for number, port in enumerate(ports)
    ]
    await asyncio.gather(*(server.start() for server in servers))
    yield servers
    await asyncio.gather(*(server.stop() for server in servers))


@pytest.fixture
async def platform_api():
    """As much of the API and its issuer as a worker needs."""

    async def token(request):
        return web.json_response({"access_token": "t", "expires_in": 3600})

    async def accepted(request):
        await request.read()
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/token", token)
    application.router.add_route("*", "/v1/internal/{rest:.*}", accepted)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def worker(cluster, platform_api, s3_bucket, tmp_path):
    """Starts a worker with four slots on the cluster."""
    started = []

    def secret(name, value):
        file = tmp_path / name
        file.touch(mode=0o600)
        file.write_text(value)
        return str(file)

    values = {
        "pools": {"ci": 4},
        "api_url": platform_api,
        "credentials": {
            "token_url": f"{platform_api}/token",
            "client_id": "worker",
            "client_secret_file": secret("client", "secret"),
        },
        "nats": {"url": ",".join(server.bare_url for server in cluster)},
        "storage": {
            "endpoint_url": s3_bucket.endpoint_url,
            "region": s3_bucket.region,
            "bucket": s3_bucket.bucket,
            "access_key_file": secret("s3-access", s3_bucket.access_key),
            "secret_key_file": secret("s3-secret", s3_bucket.secret_key),
        },
        "registry": {"host": "127.0.0.1:1", "plain_http": True},
        "signing": {"private_key_file": str(tmp_path / "key")},
        "gitops": {"url": "file:///nonexistent"},
        "cache": {name: str(tmp_path / name) for name in ("repositories", "workspace", "tools")},
        "allow_local_repositories": True,
    }
    (tmp_path / "worker.yaml").write_text(yaml.safe_dump(values))

    def start():
        log = (tmp_path / "worker.log").open("wb")
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "forge_worker", "--config", str(tmp_path / "worker.yaml")],
                env=os.environ,
                stdout=log,
                stderr=log,
            )
        )
        log.close()

    yield start
    for process in started:
        process.terminate()
        process.wait(60)


async def test_the_leader_is_killed_in_a_run_and_the_run_ends_well(cluster, worker, make_repository):
    repository = make_repository("clustered").write({"README.md": "text"})
    sha, run_id = repository.commit(), uuid4()
    jobs = [
        task_of_one_step(repository, sha, run_id, f"p{number}", f"echo {number} >> {repository.folder}.done")
        for number in range(JOBS)
    ]
    settings = Nats(url=",".join(server.bare_url for server in cluster), replicas=NODES, ack_wait_s=2)
    connection = await connect(settings, "test")
    await PATIENT.call(
        lambda: apply_definitions(connection, settings), retry_on=lambda error: isinstance(error, TransientError)
    )
    worker()
    arrived = []

    async def on_result(result):
        arrived.append(result)
        if len(arrived) == JOBS // 4:
            await kill_leader(connection, cluster)

    quick = DispatcherSettings(sweep_interval_s=1, request_timeout_s=2, backoff=PATIENT)
    async with asyncio.timeout(120), Dispatcher(connection, quick) as dispatcher:
        results = await dispatcher.run(jobs, on_result=on_result)
    await connection.close()
    assert [result.error for result in results if not result.succeeded] == []
    assert sum(server.pid is not None for server in cluster) == NODES - 1


async def kill_leader(connection, cluster):
    """Kill -9 the server that leads the bucket of claims and results."""
    info = await connection.jetstream().stream_info(f"KV_{JOBS_BUCKET}")
    leader = next(server for server in cluster if server.settings.server_name == info.cluster.leader)
    os.kill(leader.pid, 9)
