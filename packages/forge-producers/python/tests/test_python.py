import uuid
import zipfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from forge_sdk.errors import ConfigurationError, PlatformError
from forge_sdk.models.artifacts import CreateArtifactRequest
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.plugins.files import file_facts
from forge_sdk.plugins.manager import load_plugins
from forge_sdk.testing import LocalContext

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "greeting"
version = "1.2.3"
requires-python = ">=3.11"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src" / "greeting").mkdir(parents=True)
    (folder / "src" / "greeting" / "__init__.py").write_text("HELLO = 'hello'\n")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    return folder


def request(project: Path, name: str = "staging", **configuration) -> CreateArtifactRequest:
    staging = project.parent / name
    staging.mkdir()
    return CreateArtifactRequest(
        project="greeting",
        project_path=str(project),
        repository="acme/shop",
        repository_path=str(project),
        commit_sha="a" * 40,
        release_id=uuid.uuid4(),
        artifact=ArtifactDefinition(name="wheel", type="archive", producer="python", configuration=configuration),
        staging_path=str(staging),
    )


async def build(asked: CreateArtifactRequest):
    context = LocalContext(environment={"SOURCE_DATE_EPOCH": "1700000000"})
    return await load_plugins().producer("python").create(asked, context)


async def test_wheel_comes_first_and_holds_the_package(project):
    asked = request(project, sdist=True)
    response = await build(asked)
    assert [file.path for file in response.output.files] == ["greeting-1.2.3-py3-none-any.whl", "greeting-1.2.3.tar.gz"]
    wheel = Path(asked.staging_path, response.output.files[0].path)
    assert "greeting/__init__.py" in zipfile.ZipFile(wheel).namelist()
    assert file_facts(wheel).digest == response.output.files[0].digest


async def test_the_same_source_gives_the_same_digest(project):
    first, second = await build(request(project, "one")), await build(request(project, "two"))
    assert first.output.files[0].digest == second.output.files[0].digest


async def test_a_build_module_in_the_repository_does_not_take_over(project):
    (project / "build.py").write_text("raise SystemExit('taken over')\n")
    response = await build(request(project))
    assert response.output.files[0].path.endswith(".whl")


async def test_broken_project_shows_why(project):
    (project / "pyproject.toml").write_text(PYPROJECT.replace("1.2.3", "not a version"))
    with pytest.raises(PlatformError, match="not a version") as caught:
        await build(request(project))
    assert caught.value.code == "build_failed"


async def test_folder_without_pyproject_is_named(project):
    with pytest.raises(ConfigurationError, match=r"no pyproject\.toml in 'src'"):
        await build(request(project, directory="src"))


async def test_nothing_to_build_is_a_configuration_error(project):
    with pytest.raises(ValidationError, match="nothing would be built"):
        await build(request(project, wheel=False))
