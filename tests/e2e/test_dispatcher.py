"""A run whose stages are carried out by the command `forge-dispatch`, as a workflow engine calls it, while no engine of the API leads."""

import asyncio
import contextlib
import json
import os
import subprocess
import threading

import configurations
import pytest
from harness import API, BIN, FAST_REDELIVERY, Done, Platform, eventually

from forge_api.database.lease import ENGINE_KEY


@pytest.fixture(scope="module")
def own_platform(tmp_path_factory):
    found = Platform(tmp_path_factory.mktemp("dispatched") / "data")
    found.configure("api", API)
    found.configure("worker", FAST_REDELIVERY + "pools: {discovery: 1, ci: 2, artifact: 2, release: 1}\n")
    assert found.forge("up").code == 0
    found.remember("publishers/pypi/token", "ci:s3cret-index-password")
    yield found
    assert found.forge("down", "--purge").code == 0


@pytest.fixture
def nobody_leads(own_platform):
    """Holds the engine's lease in a thread until it is left."""
    release, held = threading.Event(), threading.Event()

    async def hold():
        async with own_platform.database() as connection:
            await connection.execute("select pg_advisory_lock($1)", ENGINE_KEY)
            held.set()
            await asyncio.to_thread(release.wait)

    @contextlib.contextmanager
    def holding():
        thread = threading.Thread(target=lambda: asyncio.run(hold()))
        thread.start()
        try:
            # The lock comes to whoever waits for it when the process that leads has died.
            eventually(lambda: held.is_set() or waits_for_lock(own_platform), "the test waits for the lease")
            killed = own_platform.kill("api")
            eventually(held.is_set, "the test holds the lease")
            eventually(lambda: own_platform.services()["api"]["pid"] not in {killed, None}, "the API runs again")
            eventually(lambda: own_platform.forge("runs").code == 0, "the API answers")
            yield
        finally:
            release.set()
            thread.join()

    with holding():
        yield release


def waits_for_lock(platform) -> bool:
    async def ask():
        async with platform.database() as connection:
            return await connection.fetchval(
                "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            )

    return bool(asyncio.run(ask()))


@pytest.fixture
def dispatch(own_platform, tmp_path):
    """`dispatch(run, "phase-group", GROUP="1")` runs the command to its end; with `wait=False` it is left running."""

    def start(run_id, *arguments, **variables):
        keys = own_platform.home / "keys"
        environment = {
            **os.environ,
            "NATS_URL": f"nats://127.0.0.1:{own_platform.ports['nats']}",
            "NATS_USER": "dispatcher",
            "NATS_PASSWORD_FILE": str(keys / "nats-dispatcher.secret"),
            "RUN_ID": run_id,
            "FORGE_API_URL": own_platform.api,
            "FORGE_TOKEN_URL": f"http://127.0.0.1:{own_platform.ports['issuer']}/token",
            "FORGE_CLIENT_ID": "dispatcher",
            "FORGE_CLIENT_SECRET_FILE": str(keys / "client-dispatcher.secret"),
            "OUTPUTS_DIRECTORY": str(tmp_path / "outputs"),
            **variables,
        }
        return subprocess.Popen(
            [str(BIN / "forge-dispatch"), *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(run_id, *arguments, wait=True, **variables):
        process = start(run_id, *arguments, **variables)
        if not wait:
            return process
        out, err = process.communicate(timeout=120)
        return Done(process.returncode, out, err)

    return run


def outputs(tmp_path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (tmp_path / "outputs").iterdir()}


def begun(platform, repository) -> str:
    started = platform.forge("run", str(repository.folder), "--no-wait", "--json")
    assert started.code == 0, started.err
    return started.json()["id"]


def test_a_run_from_discovery_to_deployment(own_platform, nobody_leads, dispatch, make_repository, index, tmp_path):
    repository = make_repository("staged").write(
        configurations.python_package("staged", index.url, deployment=configurations.DEPLOYMENT)
    )
    repository.commit()
    run = begun(own_platform, repository)
    assert dispatch(run, "discovery").code == 0
    assert outputs(tmp_path) == {"groups": "[1,2]", "releases": '["staged"]', "projects": "1", "state": "success"}
    group = dispatch(run, "phase-group", GROUP="2")
    assert group.code == 0, group.err
    released = dispatch(run, "release", PROJECT="staged")
    assert released.code == 0, released.err
    [deployment] = json.loads(outputs(tmp_path)["deployments"])
    deployed = dispatch(run, "deployment", DEPLOYMENT_ID=deployment)
    assert deployed.code == 0, deployed.err
    nobody_leads.set()
    done = own_platform.forge("run", str(repository.folder), "--json")
    assert (done.code, done.json()["status"]) == (0, "success"), done.err
    assert [found["status"] for found in done.json()["deployments"]] == ["active"]


def test_a_failed_task_is_exit_code_1_with_its_chain(own_platform, nobody_leads, dispatch, make_repository):
    repository = make_repository("failing").write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step("echo broken; exit 3")}
    )
    repository.commit()
    run = begun(own_platform, repository)
    assert dispatch(run, "discovery").code == 0
    failed = dispatch(run, "phase-group", GROUP="2")
    assert failed.code == 1
    assert "exit code 3" in failed.err, failed.err
    assert json.loads(failed.err.splitlines()[-2])["message"] == "phase test failed in project api"
    [shown] = [item for item in own_platform.forge("runs", "--json").json()["items"] if item["id"] == run]
    assert shown["status"] == "failed"


def test_a_dispatcher_killed_in_a_task_is_followed_by_another(
    own_platform, nobody_leads, dispatch, make_repository, tmp_path
):
    mark, go = tmp_path / "started", tmp_path / "go"
    script = f"echo x >> {mark}; while [ ! -e {go} ]; do sleep 0.1; done"
    repository = make_repository("followed").write(
        {".forge/repo.cue": configurations.REPOSITORY, ".forge/project.cue": configurations.step(script)}
    )
    repository.commit()
    run = begun(own_platform, repository)
    assert dispatch(run, "discovery").code == 0
    first = dispatch(run, "phase-group", wait=False, GROUP="2")
    eventually(mark.exists, "the step has started")
    first.kill()
    first.communicate()
    second = dispatch(run, "phase-group", wait=False, GROUP="2")
    go.touch()
    _, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    assert mark.read_text() == "x\n"
    nobody_leads.set()
    assert own_platform.forge("run", str(repository.folder), "--json").json()["status"] == "success"
