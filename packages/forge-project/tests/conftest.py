import re
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from forge_cue import Evaluator
from forge_project import ProjectComponent
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.base import ClosedModel
from forge_sdk.models.discovery import Diagnostic, DiscoveryDocument
from forge_sdk.models.jobs import GitContext
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.plugins.manager import Plugins

REPOSITORY = """package repo

forgeVersion: "v0.1.0"
tagging: strategy: "monorepo"
phases: {
	check: {group: 1, description: "fast checks", required: true}
	test: {group: 2, timeout: "45m"}
	lint: {group: 1}
}
publishers: {
	index: {type: "index", index_url: "https://index.example/simple", credentials: {provider: "local", key: "publishers/token"}}
	images: {type: "images", registry: "registry.example"}
}
"""

PROJECT = """package project

name: "shop"
ci: phases: {
	check: {
		style: {action: "command", command: ["ruff", "check"], priority: 5}
		types: {action: "command", command: ["mypy"], priority: 5, timeout: string @repo(path="phases.test.timeout")}
		last: {action: "command", command: ["true"], secrets: [{provider: "local", key: "ci/token", env: "TOKEN"}]}
	}
	test: unit: {action: "command", command: ["pytest"], timeout: "1h30m"}
}
artifacts: {
	web: {type: "container", producer: build: target: "web", publishers: {images: tags: ["latest"]}}
	"cli-tool": {type: "archive", producer: wheels: {}, publishers: {index: {}}}
}
release: on: [{branch: "main|release/.*"}, {tag: true}]
deployment: resources: [{
	apiVersion: "apps/v1"
	kind:       "Deployment"
	metadata: name: "shop"
	spec: {selector: {}, template: spec: containers: [{name: "web", image: string @artifact("web.uri")}]}
}, {
	apiVersion: "v1"
	kind:       "ConfigMap"
	metadata: name: "shop"
	data: version: _ @artifact("'cli-tool'.publishers.index.version")
}]
"""

FILES = {".forge/repo.cue": REPOSITORY, "services/shop/.forge/project.cue": PROJECT}


class Anything(ClosedModel):
    pass


class CommandFields(ClosedModel):
    command: tuple[str, ...]


class IndexFields(ClosedModel):
    index_url: str


class IndexOutputs(BaseModel):
    index_url: str
    version: str


class ImageFields(ClosedModel):
    registry: str


class ImageTags(ClosedModel):
    tags: tuple[str, ...] = ()


class ImageOutputs(BaseModel):
    registry: str
    digest: str


class FakePlugin:
    """A plugin that declares everything and does nothing: discovery and rendering never call one."""

    settings = None

    def __init__(self, name: str, **declared: Any) -> None:
        self.name = name
        for field, value in declared.items():
            setattr(self, field, value)

    async def unused(self, *arguments: Any) -> Any:
        raise AssertionError("neither discovery nor rendering may call a plugin")

    create = publish = preflight = resolve = run = unused


def publisher(name: str, types: set[ArtifactType], schemas: tuple[str, str], models: tuple[Any, Any, Any]) -> Any:
    return FakePlugin(
        name,
        artifact_types=types,
        repository_schema=schemas[0],
        project_schema=schemas[1],
        repository_configuration=models[0],
        project_configuration=models[1],
        outputs=models[2],
    )


def make_plugins() -> Plugins:
    found: Any = Plugins()
    found.step_actions["command"] = FakePlugin(
        "command", schema="{command!: [string, ...string]}", configuration=CommandFields
    )
    found.producers["build"] = FakePlugin(
        "build", artifact_types={ArtifactType.CONTAINER}, schema="{target!: string}", configuration=Anything
    )
    found.producers["wheels"] = FakePlugin(
        "wheels", artifact_types={ArtifactType.ARCHIVE}, schema="{}", configuration=Anything
    )
    found.publishers["index"] = publisher(
        "index",
        {ArtifactType.ARCHIVE},
        ("{index_url!: string}", "{}"),
        (IndexFields, Anything, IndexOutputs),
    )
    found.publishers["images"] = publisher(
        "images",
        {ArtifactType.CONTAINER},
        ("{registry!: string}", "{tags?: [...string]}"),
        (ImageFields, ImageTags, ImageOutputs),
    )
    found.secret_resolvers["local"] = FakePlugin("local", schema="{key!: string}", configuration=Anything)
    return found


class MemoryTree:
    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self._files = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}

    async def files(self) -> Mapping[str, bytes]:
        return self._files


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write what was found into the cases of the corpus")


SECTION = re.compile(r"^-- (.+) --\n", re.MULTILINE)


@pytest.fixture
def read_case() -> Callable[[Path], tuple[str, dict[str, str]]]:
    """Reads a case of the corpus: its description, and its sections by name."""

    def read(case: Path) -> tuple[str, dict[str, str]]:
        description, *rest = SECTION.split(case.read_text("utf-8"))
        return description, dict(zip(rest[::2], rest[1::2], strict=True))

    return read


@pytest.fixture
def plugins() -> Plugins:
    return make_plugins()


@pytest.fixture(scope="session")
async def evaluator() -> AsyncIterator[Evaluator]:
    async with Evaluator(processes=1) as found:
        yield found


@pytest.fixture
def component(plugins: Plugins, evaluator: Evaluator) -> ProjectComponent:
    return ProjectComponent(plugins, evaluator)


@pytest.fixture
def tree() -> type[MemoryTree]:
    return MemoryTree


@pytest.fixture
def files() -> dict[str, str | bytes]:
    """A repository with one project that uses everything; tests change it."""
    return dict(FILES)


@pytest.fixture
def discover(component: ProjectComponent) -> Any:
    async def discovered(files: Mapping[str, str | bytes], **context: Any) -> DiscoveryDocument:
        return await component.discover(MemoryTree(files), GitContext(**context))

    return discovered


@pytest.fixture
def refused(discover: Any) -> Any:
    """Every problem that discovery reports, as `file:line:column: message (hint)`."""

    async def problems(files: Mapping[str, str | bytes]) -> list[str]:
        with pytest.raises(ConfigurationError) as error:
            await discover(files)
        found: Any = error.value.context["diagnostics"]
        return [str(Diagnostic.model_validate(one)) for one in found]

    return problems


@pytest.fixture
def project(refused: Any) -> Any:
    """The problems of a project with a text of its own."""

    async def problems(body: str) -> list[str]:
        return await refused({".forge/repo.cue": REPOSITORY, "a/.forge/project.cue": f"package project\n{body}"})

    return problems


@pytest.fixture
def render(component: ProjectComponent) -> Any:
    async def rendered(files: Mapping[str, str | bytes], path: str, artifacts: Any) -> dict[str, bytes]:
        return await component.render(MemoryTree(files), path, artifacts)

    return rendered


@pytest.fixture
def run_git() -> Callable[..., str]:
    return git


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    def make(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "repository"
        root.mkdir()
        git(root, "init", "-q", "-b", "main")
        for path, text in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text if isinstance(text, bytes) else text.encode())
        git(root, "add", "-A", "-f")
        git(root, "commit", "-q", "--allow-empty", "-m", "first")
        return root

    return make
