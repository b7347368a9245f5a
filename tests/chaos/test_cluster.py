"""A platform on a cluster of three NATS servers, which loses its leader in the middle of a run."""

import asyncio
import contextlib
import json
import os
import subprocess
import urllib.request
from pathlib import Path

import configurations
import pytest
from harness import Platform, eventually, free_port

from forge_cli.layout import Layout
from forge_cli.up import services
from forge_sdk.messaging import JOBS_BUCKET
from forge_servers import NatsServer, NatsSettings
from forge_servers.nats_settings import NatsCluster

NODES = 3
PROJECTS = 24
DATABASE = "clustered"


@pytest.fixture
def cluster(platform, server_directory):
    """Three servers of one cluster, with the users of the platform's own server."""
    ports: set[int] = set()
    while len(ports) < NODES:
        ports.add(free_port())
    routes = tuple(f"nats-route://127.0.0.1:{port}" for port in ports)
    users = services.nats(Layout(platform.home), Layout(platform.home).read_platform().ports).settings.users
    servers = [
        NatsServer(
            server_directory(f"node{number}"),
            settings=NatsSettings(
                server_name=f"node{number}",
                users=users,
                cluster=NatsCluster(name="catalyst-forge", port=port, routes=routes),
            ),
        )
        for number, port in enumerate(ports)
    ]

    async def all_of(verb):
        await asyncio.gather(*(getattr(server, verb)() for server in servers))

    try:
        asyncio.run(all_of("start"))
        yield servers
    finally:
        asyncio.run(all_of("stop"))


@pytest.fixture
def clustered(platform, cluster, tmp_path):
    """API and worker beside the platform's own, with its other servers, but the cluster and a database of their own."""
    asyncio.run(create_database(platform))
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    nats = {"FORGE_NATS__URL": ",".join(server.bare_url for server in cluster), "FORGE_NATS__REPLICAS": str(NODES)}
    listen = {"FORGE_LISTEN__PORT": str(port), "FORGE_LISTEN__PUBLIC_URL": api, "FORGE_DATABASE__NAME": DATABASE}
    caches = {f"FORGE_CACHE__{name.upper()}": str(tmp_path / name) for name in ("repositories", "workspace", "tools")}
    token = tmp_path / "token"
    token.write_text(platform.token("user"))
    remote = Platform(tmp_path / "remote")
    remote.environment |= {"FORGE_API_URL": api, "FORGE_TOKEN_FILE": str(token)}
    log = tmp_path / "worker.log"
    with (
        like(platform, "api", {**nats, **listen}, tmp_path / "api.log"),
        like(platform, "worker", {**nats, **caches, "FORGE_API_URL": api}, log),
    ):
        eventually(lambda: "worker_started" in log.read_text(), "API and worker run on the cluster")
        yield remote


async def create_database(platform):
    async with platform.database() as connection:
        await connection.execute(f"create database {DATABASE}")


@contextlib.contextmanager
def like(platform, service, variables, log):
    """A process like one of the platform's own, but for some variables."""
    pid = platform.services()[service]["pid"]
    argv, environment = (
        Path(f"/proc/{pid}/{name}").read_text().rstrip("\0").split("\0") for name in ("cmdline", "environ")
    )
    own = dict(entry.split("=", 1) for entry in environment)
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=own | variables, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def test_the_leader_is_killed_in_a_run_and_the_run_ends_well(cluster, clustered, make_repository, tmp_path):
    repository, times = make_repository("on-a-cluster"), tmp_path / "times"
    projects = {
        f"p{number}/.forge/project.cue": configurations.step(f"sleep 0.5; echo p{number} >> {times}", f"p{number}")
        for number in range(PROJECTS)
    }
    repository.write({".forge/repo.cue": configurations.REPOSITORY, **projects}).commit()
    process = clustered.start("run", str(repository.folder), "--json")
    try:
        eventually(lambda: times.exists() and times.read_text().count("\n") >= PROJECTS // 4, "a quarter has run")
        [leader] = [server for server in cluster if leads_jobs(server)]
        os.kill(leader.pid, 9)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    run = json.loads(out)
    assert run["status"] == "success"
    tasks = [task for phase in run["phases"] if phase["name"] == "test" for task in phase["tasks"]]
    assert [task["status"] for task in tasks] == ["success"] * PROJECTS
    assert set(times.read_text().split()) == {f"p{number}" for number in range(PROJECTS)}
    assert sum(server.pid is not None for server in cluster) == NODES - 1


def leads_jobs(server) -> bool:
    """Whether a server leads the bucket of claims and results, by its own word; the bucket is on all of them."""
    with urllib.request.urlopen(f"{server.monitoring_url}/jsz?streams=true", timeout=10) as answer:
        accounts = json.load(answer)["account_details"]
    streams = {stream["name"]: stream for account in accounts for stream in account.get("stream_detail", ())}
    return streams[f"KV_{JOBS_BUCKET}"]["cluster"]["leader"] == server.settings.server_name
