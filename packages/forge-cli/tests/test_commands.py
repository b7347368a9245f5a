import json
import subprocess
import sys

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from forge_cli.errors import UnreachableError
from forge_cli.exits import Exit
from forge_cli.session import platform
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.api import Page, RunSummary


def test_help_lists_every_command_and_imports_little():
    program = "import sys; sys.argv = ['forge', '--help']\nfrom forge_cli.main import main\ntry: main()\nexcept SystemExit: pass\nprint([m for m in ('pydantic', 'aiohttp', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for command in ("up", "down", "status", "run", "runs", "logs", "plugins"):
        assert f"  {command} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", [["runs"], ["plugins", "--platform"]])
def test_without_a_platform_the_way_to_one_is_said(home, run_forge, command):
    error = run_forge(*command).exception
    assert isinstance(error, UnreachableError)
    assert "forge up" in error.message


def test_run_outside_of_a_repository_is_a_configuration_error(home, tmp_path, run_forge):
    assert isinstance(run_forge("run", str(tmp_path)).exception, ConfigurationError)


def test_exit_codes_of_the_process(home, tmp_path):
    def code(*arguments: str) -> int:
        return subprocess.run(
            [sys.executable, "-m", "forge_cli", *arguments], capture_output=True, check=False
        ).returncode

    assert code("runs") == Exit.UNREACHABLE
    assert code("run", str(tmp_path)) == Exit.USAGE
    assert code("no-such-command") == Exit.USAGE
    assert code("status") == Exit.UNREACHABLE
    assert code("down") == Exit.SUCCESS


def test_status_and_down_say_where_they_looked(home, run_forge):
    assert str(home) in run_forge("status").output
    assert json.loads(run_forge("status", "--json").output) == {"running": False, "data": str(home)}
    assert str(home) in run_forge("down").output


def test_data_of_a_newer_version_is_refused(home, run_forge):
    home.mkdir()
    (home / "platform.json").write_text('{"format": 99, "version": "9.0.0", "ports": {}}')
    error = run_forge("runs").exception
    assert isinstance(error, ConfigurationError)
    assert "9.0.0" in error.message


def test_token_file_is_asked_for(monkeypatch, run_forge):
    monkeypatch.setenv("FORGE_API_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("FORGE_TOKEN_FILE", raising=False)
    assert "FORGE_TOKEN_FILE" in run_forge("runs").exception.message


async def test_a_token_in_a_file_may_be_replaced_at_any_time(monkeypatch, tmp_path):
    sent, file = [], tmp_path / "token"

    async def answer(request):
        sent.append(request.headers["Authorization"])
        return web.Response(body=Page[RunSummary](items=()).model_dump_json())

    application = web.Application()
    application.router.add_get("/v1/runs", answer)
    async with TestServer(application) as server:
        monkeypatch.setenv("FORGE_API_URL", str(server.make_url("")))
        monkeypatch.setenv("FORGE_TOKEN_FILE", str(file))
        file.write_text("first\n")
        async with platform() as client:
            await client.runs()
            file.write_text("second\n")
            await client.runs()
    assert sent == ["Bearer first", "Bearer second"]


def test_logs_of_an_unknown_service_name_the_known_ones(home, run_forge):
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "api.log").write_text("started\n")
    assert "there are api" in run_forge("logs", "--service", "nonsense").exception.message
    assert "started" in run_forge("logs", "--service", "api").output


def test_plugins_of_this_environment_are_listed(run_forge):
    sets = json.loads(run_forge("plugins", "--json").output)["sets"]
    assert [found["service"] for found in sets] == ["this environment"]
