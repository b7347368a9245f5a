"""Fixtures of workers that are processes of their own."""

import asyncio
import json
import os
import subprocess
import sys
import uuid

import pytest
import yaml
from aiohttp import web

from forge_sdk.models.jobs import JobType
from forge_sdk.models.payloads import CiPayload, StepPlan

PLUGIN = """
import asyncio
from pydantic import BaseModel
from forge_sdk.plugins import StepResult, hookimpl


class Configuration(BaseModel):
    script: str


class Script:
    name, schema, configuration, settings = "script", "{script!: string}", Configuration, None

    async def run(self, request, context):
        end = await context.execute(["sh", "-c", request.configuration.script], cwd=request.project_directory)
        return StepResult(end.exit_code)


@hookimpl
def forge_step_actions():
    return [Script()]
"""


@pytest.fixture
def plugin_folder(tmp_path):
    """A folder that, on PYTHONPATH, is as good as an installed plugin distribution."""
    folder = tmp_path / "site"
    information = folder / "forge_test_steps-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "forge_test_steps.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: forge-test-steps\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[catalyst_forge]\nsteps = forge_test_steps\n")
    return folder


@pytest.fixture
async def api(unused_tcp_port):
    """The platform's API and its issuer, as far as a worker uses them."""
    seen = {"plugins": [], "statuses": []}

    async def token(request):
        return web.json_response({"access_token": "t", "expires_in": 3600})

    async def plugins(request):
        seen["plugins"].append((request.match_info["name"], await request.json()))
        return web.Response(status=204)

    async def statuses(request):
        seen["statuses"].append(await request.json())
        return web.json_response({"refused": []})

    application = web.Application()
    application.router.add_post("/token", token)
    application.router.add_put("/v1/internal/plugins/{name}", plugins)
    application.router.add_post("/v1/internal/statuses", statuses)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    seen["url"] = f"http://127.0.0.1:{unused_tcp_port}"
    yield seen
    await runner.cleanup()


@pytest.fixture
def worker_file(tmp_path, storage_settings, api, platform):
    secret = tmp_path / "client-secret"
    secret.touch(mode=0o600)
    secret.write_text("secret")
    cache = tmp_path / "cache"
    values = {
        "name": "worker",
        "pools": {"ci": 1},
        "api_url": api["url"],
        "credentials": {"token_url": f"{api['url']}/token", "client_id": "w", "client_secret_file": str(secret)},
        "nats": {"url": platform.url},
        "storage": json.loads(storage_settings.model_dump_json()),
        "registry": {"host": "127.0.0.1:1", "plain_http": True},
        "signing": {"private_key_file": str(tmp_path / "key")},
        "gitops": {"url": "file:///nonexistent"},
        "cache": {name: str(cache / name) for name in ("repositories", "workspace", "tools")},
        "allow_local_repositories": True,
        "drain_grace_s": 0.5,
    }
    path = tmp_path / "worker.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def start_worker(worker_file, plugin_folder, tmp_path):
    """Starts `python -m forge_worker`; what a test does not end is killed."""
    started = []

    def start(**environment):
        log = (tmp_path / f"worker-{len(started)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "forge_worker", "--config", str(worker_file)],
            env={**os.environ, "PYTHONPATH": str(plugin_folder), **environment},
            stdout=log,
            stderr=log,
        )
        log.close()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def make_ci_job(platform, source, script):
    step = StepPlan(id=uuid.uuid4(), name="unit", action="script", configuration={"script": script}, timeout_s=60)
    payload = CiPayload(task_id=uuid.uuid4(), phase="test", project="api", project_path=".", waves=((step,),))
    return platform.job(
        type=JobType.CI,
        clone_url=source.url,
        commit_sha=source.commit({"file": "text"}),
        payload=payload.model_dump(mode="json"),
    )


async def process_ended(process, timeout_s=20):
    return await asyncio.wait_for(asyncio.to_thread(process.wait, timeout_s), timeout_s + 1)


@pytest.fixture
def ci_job():
    """`ci_job(platform, source, script)`: a task of one step that runs a line of shell."""
    return make_ci_job


@pytest.fixture
def ended():
    """`await ended(process)`: its exit code."""
    return process_ended
