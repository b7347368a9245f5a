"""What the worker gives to plugins: the contexts of `forge_sdk.plugins.contexts`, implemented over one job."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from forge_sdk import telemetry
from forge_sdk.models.artifacts import PublishedFile
from forge_sdk.plugins.contexts import Execution
from forge_sdk.plugins.contracts import Producer, Publisher, StepAction
from forge_sdk.retry import DEFAULT_RETRY, RetryPolicy
from forge_sdk.secrets import Secret, SecretReference
from forge_worker.execution.process import run_process
from forge_worker.jobs import JobContext
from forge_worker.logs import StepLog, plugin_logger
from forge_worker.settings import plugin_settings

FilePublished = Callable[[PublishedFile], Awaitable[None]]
CI_SECRETS = "ci"
PUBLISHER_SECRETS = "publishers"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPluginContext:
    """Logger, settings and retry of one call of a plugin."""

    job: JobContext
    log: StepLog
    logger: logging.Logger
    settings: BaseModel | None
    retry: RetryPolicy = DEFAULT_RETRY


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStepContext(JobPluginContext):
    """A `StepContext`."""

    environment: Mapping[str, str]

    async def execute(
        self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> Execution:
        """Run a program whose output goes to the log."""
        with telemetry.span("program", attributes={"program": Path(argv[0]).name}):
            variables = {**self.environment, **telemetry.environment(), **(environment or {})}
            end = await run_process(argv, cwd=cwd, environment=variables, sink=self.log.write)
        return Execution(end.exit_code, self.job.masker.text(end.tail_text()))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProducerContext(JobStepContext):
    """A `ProducerContext`."""

    async def secret(self, reference: SecretReference) -> Secret:
        """The secret under the policy for `ci`."""
        return await self.job.secret(reference, purpose=CI_SECRETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPublisherContext(JobPluginContext):
    """A `PublisherContext`."""

    on_published: FilePublished

    async def secret(self, reference: SecretReference) -> Secret:
        """The secret under the policy for `publishers`."""
        return await self.job.secret(reference, purpose=PUBLISHER_SECRETS)

    async def file_published(self, file: PublishedFile) -> None:
        """Hand the outcome of a file on to the ledger."""
        await self.on_published(file)


def producer_context(
    job: JobContext, producer: Producer, log: StepLog, environment: Mapping[str, str]
) -> JobProducerContext:
    """A `ProducerContext`: output of `execute` goes to `log`; `environment` is that of `Environments.prepared`."""
    return JobProducerContext(
        job=job,
        log=log,
        logger=plugin_logger(producer.name, log),
        settings=_settings(job, producer),
        environment=environment,
    )


def step_context(job: JobContext, action: StepAction, log: StepLog, environment: Mapping[str, str]) -> JobStepContext:
    """A `StepContext`; `environment` holds the step's secrets already."""
    return JobStepContext(
        job=job,
        log=log,
        logger=plugin_logger(action.name, log),
        settings=_settings(job, action),
        environment=environment,
    )


def publisher_context(
    job: JobContext, publisher: Publisher, log: StepLog, on_published: FilePublished
) -> JobPublisherContext:
    """A `PublisherContext`; `on_published` is called by `file_published` (and writes the ledger)."""
    return JobPublisherContext(
        job=job,
        log=log,
        logger=plugin_logger(publisher.name, log),
        settings=_settings(job, publisher),
        on_published=on_published,
    )


def _settings(job: JobContext, plugin: Producer | Publisher | StepAction) -> BaseModel | None:
    return plugin_settings(plugin.name, plugin.settings, job.services.configuration.plugins)
