"""The command `forge-dispatch` as a process, against a real NATS and an API that says what is to do."""

import asyncio
import json
import os
import signal
import sys
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from forge_dispatch.command.settings import settings_of
from forge_sdk.errors import ConfigurationError, PlatformError
from forge_sdk.messaging import CI
from forge_sdk.models.stages import Stage, StageJobs, StageResult, StageState


class Api:
    """Gives the plans of a stage one after the other: the next when all jobs of the one before are reported."""

    def __init__(self):
        self.plans: list[StageJobs] = []
        self.results: dict[str, str] = {}
        self.requests: list[str] = []
        self.tokens = 0
        self.unavailable = 0
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def now(self) -> StageJobs:
        for plan in self.plans:
            left = tuple(job for job in plan.jobs if str(job.id) not in self.results)
            if plan.state is not StageState.OPEN or left:
                return plan.model_copy(update={"jobs": left})
        raise AssertionError("the plans have no end")


class _Handler(BaseHTTPRequestHandler):
    api: Api

    def log_message(self, *arguments):
        """Quiet."""

    def do_GET(self):
        self.api.requests.append(self.path)
        if self.api.unavailable:
            self.api.unavailable -= 1
            self._send(503, b"{}")
        elif self.headers["Authorization"] != "Bearer the-token":
            self._send(403, b'{"error": {"code": "permission_denied", "message": "another role is needed"}}')
        else:
            self._send(200, self.api.now().model_dump_json(by_alias=True).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if urlsplit(self.path).path == "/token":
            self.api.tokens += 1
            self._send(200, b'{"access_token": "the-token", "expires_in": 300}')
            return
        reported = StageResult.model_validate_json(body)
        self.api.results[str(reported.result.job_id)] = reported.result.status
        self._send(204, b"")

    def _send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def api():
    started = Api()
    yield started
    started.stop()


@pytest.fixture
def variables(api, configuration, run_id, tmp_path):
    secret = tmp_path / "client-secret"
    secret.touch(mode=0o600)
    secret.write_text("s3cret-of-the-client")
    return {
        "NATS_URL": configuration.url,
        "RUN_ID": str(run_id),
        "FORGE_API_URL": api.url,
        "FORGE_TOKEN_URL": f"{api.url}/token",
        "FORGE_CLIENT_ID": "dispatcher",
        "FORGE_CLIENT_SECRET_FILE": str(secret),
        "OUTPUTS_DIRECTORY": str(tmp_path / "outputs"),
    }


@pytest.fixture
def command(variables):
    """`async with command("discovery", GROUP="1") as process`: what still runs at the end is killed."""

    @asynccontextmanager
    async def start(*arguments, **more):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "forge_dispatch",
            *arguments,
            env={**os.environ, **variables, **more},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return start


@pytest.fixture
def outcome(command):
    """Exit code, error and last line of a command that was run to its end."""

    async def run(*arguments, **more):
        async with command(*arguments, **more) as process:
            return await told(process)

    return run


async def told(process):
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert out == b""
    lines = err.decode().splitlines()
    error = json.loads(lines[-2]) if len(lines) > 1 and '"code"' in lines[-2] else None
    return process.returncode, error, lines[-1]


def plan(jobs, **values):
    return StageJobs(stage=Stage.PHASE_GROUP, state=StageState.OPEN, jobs=tuple(jobs), **values)


def end(state, **values):
    return StageJobs(stage=Stage.PHASE_GROUP, state=state, **values)


async def test_a_phase_group_is_carried_out_and_reported(api, outcome, worker, job, run_id, tmp_path):
    api.plans = [plan([job("a"), job("b")]), plan([job("c")]), end(StageState.SUCCESS, outputs={"groups": "[1,2]"})]
    code, error, last = await outcome("phase-group", GROUP="2")
    assert (code, error, last) == (0, None, "forge-dispatch: phase-group 2: success")
    assert sorted(worker.executed) == ["a", "b", "c"]
    assert set(api.results.values()) == {"success"}
    assert api.requests[0] == f"/v1/internal/runs/{run_id}/stages/phase-group/jobs?group=2"
    assert (tmp_path / "outputs" / "groups").read_text() == "[1,2]"
    assert (tmp_path / "outputs" / "state").read_text() == "success"
    assert api.tokens == 1


async def test_a_failed_stage_is_exit_code_1_with_the_error_as_json(api, outcome, worker, job):
    error = PlatformError("step 'unit' failed", code="task_failed").to_detail()
    api.plans = [plan([job("good", do="wait"), job("bad", do="fail")]), end(StageState.FAILED, error=error)]
    code, shown, last = await outcome("phase-group", GROUP="1")
    assert code == 1
    assert shown["code"] == "task_failed"
    assert last == "forge-dispatch: phase-group 1: failed: step 'unit' failed"
    assert sorted(api.results.values()) == ["cancelled", "failed"]


async def test_jobs_of_a_group_that_failed_are_only_collected(api, outcome, worker, job):
    api.plans = [plan([job("a")], withdraw=True), end(StageState.CANCELLED)]
    code, _, _ = await outcome("phase-group", GROUP="1")
    assert code == 1
    assert worker.executed == []
    assert list(api.results.values()) == ["cancelled"]


async def test_sigterm_cancels_the_jobs(api, command, worker, job, eventually):
    api.plans = [plan([job("running", do="wait")]), end(StageState.SUCCESS)]
    async with command("phase-group", GROUP="1") as process:
        await eventually(lambda: worker.running)
        process.send_signal(signal.SIGTERM)
        code, error, last = await told(process)
    assert (code, error["code"]) == (1, "cancelled")
    assert "asked to stop" in last
    assert list(api.results.values()) == ["cancelled"]
    assert not worker.running


async def test_a_second_dispatcher_goes_on_after_kill_9(api, command, outcome, connection, new_worker, job, eventually):
    jobs = [job(f"job-{number}") for number in range(5)]
    api.plans = [plan(jobs), end(StageState.SUCCESS)]
    async with command("phase-group", GROUP="1") as process:

        async def queued():
            return (await connection.jetstream().stream_info(CI.stream)).state.messages == len(jobs)

        await eventually(queued)
        process.kill()
        await process.wait()
    async with new_worker() as worker:
        code, _, _ = await outcome("phase-group", GROUP="1")
    assert code == 0
    assert sorted(worker.executed) == sorted(str(found.payload["name"]) for found in jobs)


async def test_the_stage_may_stand_in_the_environment(api, outcome):
    api.plans = [end(StageState.SKIPPED)]
    code, _, last = await outcome(JOB_TYPE="release", PROJECT="api")
    assert (code, last) == (0, "forge-dispatch: release api: skipped")
    assert api.requests[0].endswith("/stages/release/jobs?project=api")


async def test_an_api_that_is_restarted_is_waited_for(api, outcome):
    api.plans, api.unavailable = [end(StageState.SUCCESS)], 2
    assert (await outcome("discovery"))[0] == 0


async def test_a_refused_token_is_the_dispatchers_own_failure(api, outcome, tmp_path):
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("another")
    code, error, last = await outcome("discovery", FORGE_TOKEN_FILE=str(token))
    assert (code, error["code"]) == (2, "permission_denied")
    assert "another role is needed" in last


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"RUN_ID": "x"}, "RUN_ID: 'x' is no id"),
        ({"NATS_URL": ""}, "NATS_URL: it is not set"),
        ({"FORGE_API_URL": "ftp://x"}, "FORGE_API_URL: it is no http"),
        ({"FORGE_CLIENT_ID": ""}, "FORGE_CLIENT_ID: it is needed"),
        ({"GROUP": "many"}, "GROUP: "),
    ],
)
def test_a_wrong_variable_is_named(variables, change, words):
    with pytest.raises(ConfigurationError, match=words):
        settings_of("phase-group", {**variables, "GROUP": "1", **change})


async def test_wrong_configuration_is_exit_code_2(outcome):
    code, error, last = await outcome("discovery", RUN_ID="")
    assert (code, error["code"]) == (2, "configuration_invalid")
    assert "RUN_ID" in last


async def test_the_command_imports_neither_aiohttp_nor_boto3():
    code = (
        "import sys; import forge_dispatch.__main__, forge_dispatch.command.run; "
        "bad = {'boto3', 'pydantic_settings', 'opentelemetry'} & set(sys.modules); "
        "sys.exit(str(bad) if bad or sys.modules['aiohttp'] is not None else 0)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
