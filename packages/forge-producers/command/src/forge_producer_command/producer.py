"""The producer: run a command, then collect the files that the configuration declares."""

import asyncio
from pathlib import Path
from typing import Literal

from pydantic import Field

from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.artifacts import (
    ArchiveFile,
    ArchiveOutput,
    ArtifactOutput,
    BinaryFile,
    BinaryOutput,
    CreateArtifactRequest,
    CreateArtifactResponse,
)
from forge_sdk.models.base import ClosedModel
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.plugins import ProducerContext
from forge_sdk.plugins.files import confined, copy_into, file_facts

SUFFIXES: dict[str, Literal["tar.gz", "zip", "tar.bz2", "whl"]] = {
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".zip": "zip",
    ".tar.bz2": "tar.bz2",
    ".whl": "whl",
}


class DeclaredOutput(ClosedModel):
    """A file that the command leaves: `path` is relative to the project; `os`, `arch` and `static` describe a binary."""

    path: str = Field(min_length=1)
    os: str = ""
    arch: str = ""
    static: bool = False


class ProducerConfiguration(ClosedModel):
    """Fields below `producer: command`."""

    command: tuple[str, ...] = Field(min_length=1)
    outputs: tuple[DeclaredOutput, ...] = Field(min_length=1)
    directory: str = "."
    environment: dict[str, str] = Field(default_factory=dict)


class CommandProducer:
    """Builds binaries and archives with any tool."""

    name = "command"
    artifact_types = frozenset({ArtifactType.BINARY, ArtifactType.ARCHIVE})
    configuration = ProducerConfiguration
    settings = None
    schema = """{
	// Argument list; no shell is involved.
	command!: [string, ...string]
	// Files that the command leaves, relative to the project; the first is the primary one.
	outputs!: [#CommandOutput, ...#CommandOutput]
	// Folder to run in, relative to the project.
	directory?: string
	// Added to the environment of producers.
	environment?: [#EnvironmentName]: string
	#CommandOutput: {
		path!:   string
		os?:     string
		arch?:   string
		static?: bool
	}
}"""

    async def create(self, request: CreateArtifactRequest, context: ProducerContext) -> CreateArtifactResponse:
        """Run the command and copy its outputs into the staging directory."""
        configuration = ProducerConfiguration.model_validate(request.artifact.configuration)
        project = Path(request.project_path)
        execution = await context.execute(
            configuration.command, cwd=confined(project, configuration.directory), environment=configuration.environment
        )
        if execution.exit_code != 0:
            raise PlatformError(
                f"{configuration.command[0]} ended with exit code {execution.exit_code}: {execution.tail[-2000:].strip()}",
                code=ErrorCode.BUILD_FAILED,
                context={"exit_code": execution.exit_code},
            )
        output = await asyncio.to_thread(
            _collect, request.artifact.type, configuration.outputs, project, Path(request.staging_path)
        )
        return CreateArtifactResponse(
            name=request.artifact.name,
            project=request.project,
            type=request.artifact.type,
            output=output,
            metadata={"producer": "command"},
        )


def _collect(kind: ArtifactType, outputs: tuple[DeclaredOutput, ...], project: Path, staging: Path) -> ArtifactOutput:
    if kind is ArtifactType.BINARY:
        return BinaryOutput(files=tuple(_binary(declared, project, staging) for declared in outputs))
    return ArchiveOutput(files=tuple(_archive(declared, project, staging) for declared in outputs))


def _binary(declared: DeclaredOutput, project: Path, staging: Path) -> BinaryFile:
    copied = _copy(declared, project, staging)
    facts = file_facts(copied)
    executable = bool(copied.stat().st_mode & 0o111)
    return BinaryFile(
        path=copied.name,
        size=facts.size,
        digest=facts.digest,
        executable=executable,
        arch=declared.arch,
        os=declared.os,
        static=declared.static,
    )


def _archive(declared: DeclaredOutput, project: Path, staging: Path) -> ArchiveFile:
    form = next((form for suffix, form in SUFFIXES.items() if declared.path.endswith(suffix)), None)
    if form is None:
        raise ConfigurationError(
            f"output {declared.path!r} is no archive: its name must end with one of {', '.join(SUFFIXES)}"
        )
    copied = _copy(declared, project, staging)
    facts = file_facts(copied)
    return ArchiveFile(path=copied.name, format=form, size=facts.size, digest=facts.digest)


def _copy(declared: DeclaredOutput, project: Path, staging: Path) -> Path:
    source = confined(project, declared.path)
    return copy_into(source, staging, source.name)
