"""The interfaces that plugins implement.

Every plugin object has a `name` that configurations use, CUE schemas of its configuration, and the pydantic models of the same data. A schema
is the text of one CUE struct, for example `{index_url!: string}`; it may use the platform's definitions `#Duration`, `#SecretReference` and
`#Name`. The platform composes the schemas of all installed plugins into the one that a configuration must satisfy, so a mistake is found at
discovery with file and line; the models validate again right before the call.

One object serves many calls at once: keep nothing of a call on `self`. A call may be cancelled at any await; leave nothing half-written.
Any call may be repeated after a crash, so each must be idempotent. Errors: `TransientError`, `AuthenticationError`, `ConfigurationError`,
`AlreadyExists` or another `PlatformError`; anything else is wrapped with the plugin's name.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from forge_sdk.models.artifacts import (
    CreateArtifactRequest,
    CreateArtifactResponse,
    PreflightRequest,
    PreflightResponse,
    PublishArtifactRequest,
    PublishArtifactResponse,
)
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.plugins.contexts import ProducerContext, PublisherContext, ResolverContext, StepContext
from forge_sdk.secrets import Secret, SecretReference

Configuration = TypeVar("Configuration", bound=BaseModel)


@runtime_checkable
class Producer(Protocol):
    """Builds an artifact."""

    @property
    def name(self) -> str:
        """Key below `producer` in an artifact's configuration."""

    @property
    def artifact_types(self) -> AbstractSet[ArtifactType]:
        """What it can build."""

    @property
    def schema(self) -> str:
        """CUE struct of its configuration."""

    @property
    def configuration(self) -> type[BaseModel]:
        """Model of its configuration (closed: `ClosedModel`)."""

    @property
    def settings(self) -> type[BaseModel] | None:
        """Model of its settings on a platform (`plugins.<name>`), or `None`."""

    async def create(self, request: CreateArtifactRequest, context: ProducerContext) -> CreateArtifactResponse:
        """Build the artifact below `request.staging_path` and say what was built, with sizes and digests.

        The staging directory is empty at the start and belongs to this call. The same commit must give the same bytes where the tool
        allows it: the environment of `context.execute` has `SOURCE_DATE_EPOCH`. Raises `PlatformError` with code `build_failed` and the
        last lines of output where the build fails.
        """


@runtime_checkable
class Publisher(Protocol):
    """Puts an artifact where its users get it."""

    @property
    def name(self) -> str:
        """Value of `type` in a publisher's configuration."""

    @property
    def artifact_types(self) -> AbstractSet[ArtifactType]:
        """What it can publish."""

    @property
    def repository_schema(self) -> str:
        """CUE struct of its fields in the repository's configuration, without `type` and `credentials`."""

    @property
    def project_schema(self) -> str:
        """CUE struct of its fields below `publishers.<name>` of an artifact."""

    @property
    def repository_configuration(self) -> type[BaseModel]:
        """Model of the repository's fields; `credentials` is given to it as `SecretReference | None`."""

    @property
    def project_configuration(self) -> type[BaseModel]:
        """Model of the project's fields."""

    @property
    def outputs(self) -> type[BaseModel]:
        """Model of `PublishArtifactResponse.metadata`; its field names are what `@artifact` paths may name."""

    @property
    def settings(self) -> type[BaseModel] | None:
        """Model of its settings on a platform (`plugins.<name>`), or `None`."""

    async def preflight(self, request: PreflightRequest, context: PublisherContext) -> PreflightResponse:
        """Check what can be checked before anything is built, without side effects: credentials, target, whether the name is free.

        Runs once for each publisher of a release. Raises `ConfigurationError` or `AuthenticationError` to stop the release; an
        unreachable target or a taken name is a warning in the response, since publishing decides.
        """

    async def publish(self, request: PublishArtifactRequest, context: PublisherContext) -> PublishArtifactResponse:
        """Publish every file of the artifact that is not there yet.

        Look first: the same content is reported as `identical`; other content under the same name raises `AlreadyExists` with both
        digests, and nothing is overwritten. Call `context.file_published` after each file. Publishers of one artifact run in parallel. After
        a crash the call is repeated and must find what it did before.
        """


@runtime_checkable
class SecretResolver(Protocol):
    """Gets secrets from one provider."""

    @property
    def name(self) -> str:
        """Value of `provider` in a secret reference."""

    @property
    def schema(self) -> str:
        """CUE struct of the reference's fields, without `provider`.

        No field may be named `env`: in a step's list of secrets that names the variable which the step gets.
        """

    @property
    def configuration(self) -> type[BaseModel]:
        """Model of the reference's fields, without `provider`."""

    @property
    def settings(self) -> type[BaseModel] | None:
        """Model of its settings on a platform (`plugins.<name>`), or `None`."""

    async def resolve(self, reference: SecretReference, context: ResolverContext) -> Secret:
        """The secret that `reference` names, fetched now; nothing is cached.

        Raises `PlatformError` with code `secret_unresolved` that names the reference and what is wrong, never a value.
        """


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One step: `worktree` is the checkout, `project_directory` the project's folder in it."""

    step: str
    phase: str
    project: str
    repository: str
    commit_sha: str
    worktree: Path
    project_directory: Path
    configuration: BaseModel


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended: 0 is success, everything else a failure; `summary` is one line for people."""

    exit_code: int
    summary: str = ""


@runtime_checkable
class StepAction(Protocol):
    """Does what a step of a phase asks for."""

    @property
    def name(self) -> str:
        """Value of `action` in a step's configuration."""

    @property
    def schema(self) -> str:
        """CUE struct of its fields, without those that every step has."""

    @property
    def configuration(self) -> type[BaseModel]:
        """Model of its fields."""

    @property
    def settings(self) -> type[BaseModel] | None:
        """Model of its settings on a platform (`plugins.<name>`), or `None`."""

    async def run(self, request: StepRequest, context: StepContext) -> StepResult:
        """Run the step. Steps of one wave run at once in the same worktree; later waves see the files of earlier ones."""
