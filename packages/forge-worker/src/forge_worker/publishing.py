"""Publishers of one artifact: preflight before the build, publishing from staging afterwards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from forge_oci.registry.session import gather
from forge_sdk import telemetry
from forge_sdk.errors import (
    AlreadyExists,
    AuthenticationError,
    ConfigurationError,
    ErrorCode,
    PlatformError,
    TransientError,
    as_platform_error,
)
from forge_sdk.models.artifacts import (
    CreateArtifactResponse,
    PreflightRequest,
    PublishArtifactRequest,
    PublishArtifactResponse,
    PublishedFile,
    PublisherResult,
)
from forge_sdk.models.discovery import ArtifactPublisher, PublisherDefinition
from forge_sdk.models.payloads import ArtifactPayload
from forge_sdk.models.statuses import PublicationState
from forge_sdk.plugins import Publisher, PublisherContext
from forge_worker.jobs import JobContext
from forge_worker.ledger import Ledger
from forge_worker.logs import StepLog
from forge_worker.plugin_contexts import publisher_context
from forge_worker.results import masked_detail
from forge_worker.settings import validated


@dataclass(frozen=True, slots=True)
class Target:
    """A publisher as this artifact uses it; the configurations are validated by the publisher's models."""

    name: str
    publisher: Publisher
    repo_config: dict[str, JsonValue]
    project_config: dict[str, JsonValue]


def targets(context: JobContext, payload: ArtifactPayload) -> list[Target]:
    """The publishers of the artifact, in the order of the source text.

    Raises `ConfigurationError` or `plugin_missing` where one is not defined, not installed, or its configuration is wrong.
    """
    defined = {definition.name: definition for definition in payload.publishers}
    return [_target(context, payload, used, defined.get(used.name)) for used in payload.artifact.publishers]


async def preflight(
    context: JobContext, payload: ArtifactPayload, publishers: Iterable[Target], log: StepLog
) -> list[str]:
    """Ask every publisher at once what it can check before the build; returns warnings.

    Raises `ConfigurationError` or `AuthenticationError` of the first publisher that has one; everything else is a warning,
    since publishing decides.
    """
    found = await gather(_preflight(context, payload, target, log) for target in publishers)
    return [warning for warnings in found for warning in warnings]


@dataclass(frozen=True, slots=True)
class Publishing:
    """Publishes one artifact from `staging`."""

    context: JobContext
    payload: ArtifactPayload
    artifact: CreateArtifactResponse
    staging: Path
    worktree: Path | None
    ledger: Ledger
    log: StepLog

    async def run(self, publishers: Sequence[Target]) -> tuple[PublisherResult, ...]:
        """Publish to all targets at once; what fails stands in the result of its publisher.

        Raises what the ledger raises: without a truthful ledger nothing goes on.
        """
        await self.ledger.plan(target.name for target in publishers)
        return tuple(await gather(self._publish(target) for target in publishers))

    async def _publish(self, target: Target) -> PublisherResult:
        ledger_failures: list[PlatformError] = []

        async def on_published(file: PublishedFile) -> None:
            try:
                await self.ledger.record(target.name, [self._masked(file)])
            except PlatformError as error:
                # The plugin may swallow it; the job must not.
                ledger_failures.append(error)
                raise

        outcome = await self._call(target, publisher_context(self.context, target.publisher, self.log, on_published))
        if ledger_failures:
            raise ledger_failures[0]
        if isinstance(outcome, PlatformError):
            return await self._failed(target.name, outcome)
        await self.ledger.record(target.name, map(self._masked, outcome.files))
        await self.ledger.settle(target.name, PublicationState.PUBLISHED, uri=outcome.uri)
        return await self._result(target.name, outcome)

    async def _call(self, target: Target, context: PublisherContext) -> PublishArtifactResponse | PlatformError:
        attempts = self.context.services.metrics.publications
        try:
            with telemetry.span("publish", kind="client", attributes={"publisher": target.publisher.name}):
                response = await target.publisher.publish(self._request(target), context)
            _check_outputs(target.publisher, response)
        except Exception as error:  # noqa: BLE001 - the fence: whatever a plugin does wrong is recorded, the others go on
            attempts.labels(target.publisher.name, "failed").inc()
            return publish_error(error, target.name)
        attempts.labels(target.publisher.name, "success").inc()
        return response

    async def _result(self, name: str, response: PublishArtifactResponse) -> PublisherResult:
        files = self.ledger.files(name)
        unfinished = [file.file for file in files if not file.state.reached_target]
        if unfinished:
            text = f"publisher {name!r} did not publish {', '.join(unfinished)}"
            return await self._failed(name, PlatformError(text, code=ErrorCode.PUBLISH_FAILED, component=name))
        self.log.line(f"[forge] {name}: {response.uri} ({', '.join(sorted({file.state.value for file in files}))})")
        return PublisherResult(publisher=name, uri=response.uri, metadata=response.metadata, files=files)

    async def _failed(self, name: str, error: PlatformError) -> PublisherResult:
        detail = masked_detail(error, self.context.masker)
        if isinstance(error, AlreadyExists):
            state = PublicationState.IDENTICAL if error.existing_digest == error.digest else PublicationState.CONFLICT
            await self.ledger.settle(name, state, error=detail, digest=error.digest)
        await self.ledger.settle(name, PublicationState.FAILED, error=detail)
        files = self.ledger.files(name)
        self.log.line(f"[forge] {name}: {', '.join(sorted({file.state.value for file in files}))}: {detail.message}")
        return PublisherResult(publisher=name, files=files, error=detail)

    def _masked(self, file: PublishedFile) -> PublishedFile:
        if file.error is None:
            return file
        error = masked_detail(PlatformError.from_detail(file.error), self.context.masker)
        return file.model_copy(update={"error": error})

    def _request(self, target: Target) -> PublishArtifactRequest:
        job = self.context.job
        repository_path = self.worktree or self.staging
        return PublishArtifactRequest(
            project=self.payload.project,
            project_path=str(repository_path / self.payload.project_path),
            repository=job.repository,
            repository_path=str(repository_path),
            commit_sha=job.commit_sha,
            git=job.git,
            release_id=self.payload.release_id,
            artifact=self.artifact,
            staging_path=str(self.staging),
            publisher=target.name,
            repo_config=target.repo_config,
            project_config=target.project_config,
        )


def publish_error(error: Exception, publisher: str) -> PlatformError:
    """`error` as it is recorded: of the platform's kind, with the publisher's name."""
    if isinstance(error, AlreadyExists) and error.existing_digest == error.digest:
        text = f"publisher {publisher!r} says that the artifact is there already, but not where: {error.message}"
        return AlreadyExists(
            text, existing_digest=error.existing_digest, digest=error.digest, component=publisher
        ).wrap(error)
    if isinstance(error, PlatformError):
        error.component = error.component or publisher
        return error
    if isinstance(error, TimeoutError | ConnectionError):
        return TransientError(f"publisher {publisher!r}: {type(error).__name__}", component=publisher).wrap(error)
    return as_platform_error(error, component=publisher, code=ErrorCode.PUBLISH_FAILED)


def _target(
    context: JobContext, payload: ArtifactPayload, used: ArtifactPublisher, definition: PublisherDefinition | None
) -> Target:
    if definition is None:
        raise ConfigurationError(
            f"artifact {payload.artifact.name!r} names publisher {used.name!r}, which the repository does not define",
            component="artifact",
        )
    publisher = context.services.plugins.publisher(definition.type)
    if payload.artifact.type not in publisher.artifact_types:
        raise ConfigurationError(
            f"publisher {used.name!r} can't publish artifacts of type {payload.artifact.type.value}",
            component=used.name,
        )
    credentials = definition.credentials
    repo_config = dict(definition.configuration)
    if credentials is not None:
        repo_config["credentials"] = credentials.model_dump(mode="json")
    validated(publisher.repository_configuration, repo_config, f"publisher {used.name!r} of the repository")
    validated(publisher.project_configuration, used.configuration, f"publisher {used.name!r} of the artifact")
    return Target(used.name, publisher, repo_config, dict(used.configuration))


async def _preflight(context: JobContext, payload: ArtifactPayload, target: Target, log: StepLog) -> list[str]:
    async def nothing_is_published(file: PublishedFile) -> None:
        raise PlatformError(
            f"preflight of {target.name!r} published {file.file}: it must have no side effects",
            code=ErrorCode.PLUGIN_FAILED,
        )

    request = PreflightRequest(
        project=payload.project,
        repository=context.job.repository,
        commit_sha=context.job.commit_sha,
        git=context.job.git,
        artifact=payload.artifact,
        publisher=target.name,
        repo_config=target.repo_config,
        project_config=target.project_config,
    )
    plugin_context = publisher_context(context, target.publisher, log, nothing_is_published)
    try:
        response = await target.publisher.preflight(request, plugin_context)
    except (ConfigurationError, AuthenticationError) as error:
        error.component = error.component or target.name
        raise
    except Exception as error:  # noqa: BLE001 - the fence: what a preflight can't tell is decided by publishing
        text = context.masker.text(as_platform_error(error, component=target.name).message)
        return [f"preflight of {target.name}: {text}"]
    return [f"preflight of {target.name}: {context.masker.text(warning)}" for warning in response.warnings]


def _check_outputs(publisher: Publisher, response: PublishArtifactResponse) -> None:
    try:
        publisher.outputs.model_validate(response.metadata)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, found["loc"])) for found in error.errors()}))
        raise PlatformError(
            f"publisher {publisher.name!r} answered outputs that are not what it declares: {fields}",
            code=ErrorCode.OUTPUT_INVALID,
            component=publisher.name,
        ) from None
