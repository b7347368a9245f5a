import asyncio
import sys
import uuid
from pathlib import Path

import pytest

from forge_sdk.errors import ConfigurationError, PlatformError
from forge_sdk.models.artifacts import CreateArtifactRequest
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.plugins import StepRequest
from forge_sdk.plugins.manager import load_plugins
from forge_sdk.testing import LocalContext


def step(project: Path, **fields) -> StepRequest:
    action = load_plugins().step_action("command")
    return StepRequest(
        step="unit",
        phase="test",
        project="api",
        repository="acme/shop",
        commit_sha="a" * 40,
        worktree=project,
        project_directory=project,
        configuration=action.configuration.model_validate(fields),
    )


def artifact(project: Path, kind: str, **fields) -> CreateArtifactRequest:
    staging = project.parent / "staging"
    staging.mkdir(exist_ok=True)
    return CreateArtifactRequest(
        project="api",
        project_path=str(project),
        repository="acme/shop",
        repository_path=str(project),
        commit_sha="a" * 40,
        release_id=uuid.uuid4(),
        artifact=ArtifactDefinition(name="tool", type=kind, producer="command", configuration=fields),
        staging_path=str(staging),
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


async def test_step_ends_with_the_exit_code_of_its_command(project):
    action, context = load_plugins().step_action("command"), LocalContext()
    assert (await action.run(step(project, command=[sys.executable, "-c", "print('hello')"]), context)).exit_code == 0
    assert (
        await action.run(step(project, command=[sys.executable, "-c", "raise SystemExit(7)"]), context)
    ).exit_code == 7
    assert b"hello" in context.output


async def test_step_gets_its_environment_and_directory(project):
    (project / "sub").mkdir()
    program = "import os; print(os.environ['GREETING'], os.getcwd())"
    context = LocalContext()
    request = step(project, command=[sys.executable, "-c", program], directory="sub", environment={"GREETING": "hi"})
    await load_plugins().step_action("command").run(request, context)
    assert context.output.decode().split() == ["hi", str(project / "sub")]


@pytest.mark.parametrize("directory", ["..", "/", "link"])
async def test_step_can_not_leave_its_project(project, directory):
    (project / "link").symlink_to("/")
    with pytest.raises(ConfigurationError, match="folder"):
        await (
            load_plugins()
            .step_action("command")
            .run(step(project, command=["true"], directory=directory), LocalContext())
        )


async def test_a_program_that_does_not_exist_is_named(project):
    with pytest.raises(ConfigurationError, match=r"'no-such-program'.*installed"):
        await load_plugins().step_action("command").run(step(project, command=["no-such-program"]), LocalContext())


async def test_binary_is_collected_with_its_digest(project):
    program = "import os; open('tool', 'w').write('x' * 10); os.chmod('tool', 0o755)"
    request = artifact(
        project,
        "binary",
        command=[sys.executable, "-c", program],
        outputs=[{"path": "tool", "os": "linux", "arch": "amd64"}],
    )
    response = await load_plugins().producer("command").create(request, LocalContext())
    file = response.output.files[0]
    assert (file.path, file.size, file.executable, file.os) == ("tool", 10, True, "linux")
    assert Path(request.staging_path, "tool").read_text() == "x" * 10


async def test_archive_needs_the_name_of_an_archive(project):
    request = artifact(project, "archive", command=["true"], outputs=[{"path": "site.txt"}])
    with pytest.raises(ConfigurationError, match=r"'site.txt' is no archive"):
        await load_plugins().producer("command").create(request, LocalContext())


async def test_an_output_that_was_not_built_is_named(project):
    request = artifact(project, "binary", command=["true"], outputs=[{"path": "tool"}])
    with pytest.raises(PlatformError, match="tool was declared as an output but was not built"):
        await load_plugins().producer("command").create(request, LocalContext())


async def test_failed_build_shows_the_last_lines(project):
    request = artifact(
        project, "binary", command=[sys.executable, "-c", "raise SystemExit('no compiler')"], outputs=[{"path": "tool"}]
    )
    with pytest.raises(PlatformError, match="exit code 1: no compiler") as caught:
        await load_plugins().producer("command").create(request, LocalContext())
    assert caught.value.code == "build_failed"


async def test_an_output_outside_of_the_project_is_refused(project):
    request = artifact(project, "binary", command=["true"], outputs=[{"path": "../../etc/passwd"}])
    with pytest.raises(ConfigurationError, match="must be relative"):
        await load_plugins().producer("command").create(request, LocalContext())


async def test_cancelling_ends_the_command(project):
    program = "import pathlib, time; pathlib.Path('started').touch(); time.sleep(600)"
    context = LocalContext()
    task = asyncio.create_task(
        load_plugins().step_action("command").run(step(project, command=[sys.executable, "-c", program]), context)
    )
    async with asyncio.timeout(20):
        while not (project / "started").exists():
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
