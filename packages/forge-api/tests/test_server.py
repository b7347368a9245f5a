"""The process as an operator starts and stops it."""

import asyncio
import json
import signal
import sys

import pytest
import yaml
from aiohttp import ClientError, ClientSession

from forge_api.__main__ import main
from forge_api.database import audit
from forge_api.database.origin import PLATFORM
from forge_sdk.client import ApiClient, StaticToken
from forge_sdk.models.api import CreateRun, RegisterRepository
from forge_sdk.models.statuses import RunStatus
from forge_sdk.secrets import Secret

DEADLINE_S = 30


@pytest.fixture
def configuration_file(configuration, unused_tcp_port, tmp_path):
    values = configuration.model_dump(mode="json", exclude_none=True)
    values["listen"] = {
        "host": "127.0.0.1",
        "port": unused_tcp_port,
        "public_url": f"http://127.0.0.1:{unused_tcp_port}",
    }
    (tmp_path / "environments.yaml").write_text("environments: {dev: {}}\n")
    file = tmp_path / "api.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


@pytest.fixture
async def start(configuration_file):
    """Starts `python -m forge_api`, and ends what still runs after the test."""
    started = []

    async def start(*arguments):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "forge_api",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def command(configuration_file, capsys):
    """Runs a command within this process, which spares its start: exit code, output, errors."""

    async def command(name):
        code = await asyncio.to_thread(main, [name, "--config", str(configuration_file)])
        return code, *capsys.readouterr()

    return command


async def until_ready(process, port):
    async with asyncio.timeout(DEADLINE_S), ClientSession() as session:
        while process.returncode is None:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return
            except ClientError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError((await process.communicate())[1].decode())


async def finished(process):
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_it_serves_and_stops_in_order(start, configuration_file, unused_tcp_port, issuer):
    process = await start("serve", "--migrate", "--config", str(configuration_file))
    await until_ready(process, unused_tcp_port)
    process.send_signal(signal.SIGTERM)
    code, _, err = await finished(process)
    assert code == 0, err
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert [event for event in events if event in {"starting", "listening", "stopping"}] == [
        "starting",
        "listening",
        "stopping",
    ]


async def test_a_run_survives_a_killed_process(start, configuration_file, unused_tcp_port, issuer):
    process = await start("serve", "--migrate", "--config", str(configuration_file))
    await until_ready(process, unused_tcp_port)
    tokens = StaticToken(Secret(issuer.token("developer", "operator")))
    async with ApiClient(f"http://127.0.0.1:{unused_tcp_port}", tokens) as client:
        await client.register_repository(
            RegisterRepository(repository="acme/shop", clone_url="https://github.com/acme/shop.git")
        )
        run = await client.create_run(CreateRun(repository="acme/shop", commit_sha="a" * 40))
        process.kill()
        await finished(process)
        again = await start("serve", "--config", str(configuration_file))
        await until_ready(again, unused_tcp_port)
        assert not (await client.run(run.id)).status.finished
        await client.cancel_run(run.id)
        async with asyncio.timeout(DEADLINE_S):
            while (await client.run(run.id)).status is not RunStatus.CANCELLED:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("gone", ["database", "nats"])
async def test_it_stops_where_a_server_is_gone_while_a_run_goes_on(
    gone, start, configuration_file, unused_tcp_port, issuer, make_postgres_server, make_nats_server
):
    postgres, nats = make_postgres_server(), make_nats_server()
    postgres.create_database("forge")
    password = configuration_file.with_name("password")
    password.touch(mode=0o600)
    password.write_text(postgres.password)
    values = yaml.safe_load(configuration_file.read_text())
    values["nats"] = {"url": nats.url}
    values["database"] |= {
        "host": postgres.host,
        "port": postgres.port,
        "name": "forge",
        "user": postgres.user,
        "password_file": str(password),
    }
    configuration_file.write_text(yaml.safe_dump(values))
    process = await start("serve", "--migrate", "--config", str(configuration_file))
    await until_ready(process, unused_tcp_port)
    tokens = StaticToken(Secret(issuer.token("developer", "operator")))
    async with ApiClient(f"http://127.0.0.1:{unused_tcp_port}", tokens) as client:
        await client.register_repository(
            RegisterRepository(repository="acme/shop", clone_url="https://github.com/acme/shop.git")
        )
        await client.create_run(CreateRun(repository="acme/shop", commit_sha="a" * 40))
    await asyncio.to_thread({"database": postgres, "nats": nats}[gone].stop_blocking)
    process.send_signal(signal.SIGTERM)
    code, _, err = await finished(process)
    assert code == 0, err
    assert all(line.startswith("{") for line in err.splitlines()), err


async def test_it_stops_while_it_waits_for_the_database(start, configuration_file, unused_tcp_port_factory):
    values = yaml.safe_load(configuration_file.read_text())
    values["database"]["port"] = unused_tcp_port_factory()
    configuration_file.write_text(yaml.safe_dump(values))
    process = await start("serve", "--config", str(configuration_file))
    line = await asyncio.wait_for(process.stderr.readline(), DEADLINE_S)
    assert json.loads(line)["event"] == "starting"
    process.send_signal(signal.SIGTERM)
    assert (await finished(process))[0] == 0


def test_a_missing_configuration_is_named(tmp_path, capsys):
    assert main(["serve", "--config", str(tmp_path / "missing.yaml")]) == 2
    assert "missing.yaml does not exist" in capsys.readouterr().err


async def test_migrate_says_what_it_did(configuration_file, postgres_server, configuration, command):
    name = f"{configuration.database.name}_fresh"
    postgres_server.create_database(name)
    values = yaml.safe_load(configuration_file.read_text())
    values["database"]["name"] = name
    configuration_file.write_text(yaml.safe_dump(values))
    first, second = await command("migrate"), await command("migrate")
    assert (first[0], first[1].splitlines()[0]) == (0, "applied 0001_initial")
    assert second[:2] == (0, "")
    postgres_server.drop_database(name)


async def test_the_audit_log_can_be_verified(database, command):
    async with database.transaction() as connection:
        await audit.record(connection, PLATFORM, "run.created", "run/1")
    assert (await command("verify-audit"))[:2] == (0, "the audit log is intact\n")
    async with database.transaction() as connection:
        await connection.execute("set local session_replication_role = replica")
        await connection.execute("update audit_events set actor = 'mallory'")
    code, _, err = await command("verify-audit")
    assert (code, "changed at event 1" in err) == (1, True)


def test_the_openapi_document_can_be_printed(capsys):
    assert main(["openapi"]) == 0
    assert json.loads(capsys.readouterr().out)["openapi"] == "3.1.0"
