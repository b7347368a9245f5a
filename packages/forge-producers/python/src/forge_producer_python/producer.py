"""Runs `python -m build` in an isolated environment and describes what came out."""

import asyncio
import sys
from pathlib import Path
from typing import Self

from pydantic import model_validator

from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.artifacts import ArchiveFile, ArchiveOutput, CreateArtifactRequest, CreateArtifactResponse
from forge_sdk.models.base import ClosedModel
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.plugins import ProducerContext
from forge_sdk.plugins.files import confined, file_facts

CONTENT_TYPES = {"whl": "application/zip", "tar.gz": "application/gzip"}


class PythonConfiguration(ClosedModel):
    """Fields below `producer: python`: what to build, and the folder of `pyproject.toml` relative to the project."""

    wheel: bool = True
    sdist: bool = False
    directory: str = "."

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.wheel or self.sdist):
            raise ValueError("set wheel or sdist to true: nothing would be built")
        return self


class PythonProducer:
    """Builds Python distributions."""

    name = "python"
    artifact_types = frozenset({ArtifactType.ARCHIVE})
    configuration = PythonConfiguration
    settings = None
    schema = """{
	// Build a wheel; it is the primary file.
	wheel?: bool
	// Build a source distribution.
	sdist?: bool
	// Folder of pyproject.toml, relative to the project.
	directory?: string
}"""

    async def create(self, request: CreateArtifactRequest, context: ProducerContext) -> CreateArtifactResponse:
        """Build into the staging directory; the wheel, if any, is the first file."""
        configuration = PythonConfiguration.model_validate(request.artifact.configuration)
        directory = confined(Path(request.project_path), configuration.directory)
        if not (directory / "pyproject.toml").is_file():
            raise ConfigurationError(
                f"{request.project}: there is no pyproject.toml in {configuration.directory!r} of the project"
            )
        staging = Path(request.staging_path)
        execution = await context.execute(_command(configuration, staging), cwd=directory)
        if execution.exit_code != 0:
            raise PlatformError(
                f"the build ended with exit code {execution.exit_code}: {execution.tail[-2000:].strip()}",
                code=ErrorCode.BUILD_FAILED,
                context={"exit_code": execution.exit_code},
            )
        files = await asyncio.to_thread(_describe, staging)
        return CreateArtifactResponse(
            name=request.artifact.name,
            project=request.project,
            type=request.artifact.type,
            output=ArchiveOutput(files=files),
            metadata={"producer": "python"},
        )


def _command(configuration: PythonConfiguration, staging: Path) -> list[str]:
    # -P keeps the repository's folder off the module path: a file build.py there must not take the place of the tool.
    command = [sys.executable, "-P", "-m", "build", "--installer", "uv", "--outdir", str(staging)]
    if configuration.wheel:
        command.append("--wheel")
    if configuration.sdist:
        command.append("--sdist")
    return command


def _describe(staging: Path) -> tuple[ArchiveFile, ...]:
    wheels, sdists = sorted(staging.glob("*.whl")), sorted(staging.glob("*.tar.gz"))
    if not wheels and not sdists:
        raise PlatformError(
            "the build ended well but left neither wheel nor source distribution", code=ErrorCode.OUTPUT_INVALID
        )
    return tuple(_file(path) for path in (*wheels, *sdists))


def _file(path: Path) -> ArchiveFile:
    facts = file_facts(path)
    if path.suffix == ".whl":
        return ArchiveFile(
            path=path.name, format="whl", size=facts.size, digest=facts.digest, content_type=CONTENT_TYPES["whl"]
        )
    return ArchiveFile(
        path=path.name, format="tar.gz", size=facts.size, digest=facts.digest, content_type=CONTENT_TYPES["tar.gz"]
    )
