"""From a discovery document and rows to jobs: pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from forge_api.pipeline.facts import RunFacts, Source, TaskRow
from forge_api.pipeline.requests import ReleaseRequest
from forge_sdk.identifiers import job_id, uuid7
from forge_sdk.models.artifacts import ArtifactRecord, PublisherResult
from forge_sdk.models.discovery import (
    ArtifactDefinition,
    DiscoveredProject,
    DiscoveryDocument,
    MatchedTrigger,
    PhaseDefinition,
    ProjectPhase,
    PublisherDefinition,
    StepDefinition,
)
from forge_sdk.models.jobs import GitContext, Job, JobType
from forge_sdk.models.payloads import (
    ArtifactPayload,
    CiPayload,
    DeploymentPayload,
    ReleasePayload,
    StepPlan,
)
from forge_sdk.models.statuses import ReleaseTriggerType, TriggerType

Concurrency = Literal["cancel", "queue"]
DISCOVERY_TIMEOUT_S = 900.0
ARTIFACT_TIMEOUT_S = 3600.0
RELEASE_TIMEOUT_S = 1800.0
DEPLOYMENT_TIMEOUT_S = 600.0
TASK_OVERHEAD_S = 120.0
"""Seconds that a task has for its worktree, besides its steps."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A row of `step_executions` that is to be made."""

    id: UUID
    name: str
    action: str


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A row of `task_executions` with its steps."""

    id: UUID
    project: str
    project_path: str
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    """A row of `phase_executions` with its tasks."""

    id: UUID
    name: str
    group: int
    tasks: tuple[PlannedTask, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a discovery makes of a run: where its document is, the rows that follow, and how the run gets on with others."""

    discovery_ref: str
    phases: Sequence[PlannedPhase]
    warnings: Sequence[str]
    concurrency: Concurrency
    releases: bool


def plan(run: RunFacts, document: DiscoveryDocument, discovery_ref: str) -> Plan:
    """The plan of a run."""
    return Plan(
        discovery_ref=discovery_ref,
        phases=plan_phases(document) if run.release_request is None else (),
        warnings=[str(warning) for warning in document.warnings],
        concurrency=concurrency(run, document),
        releases=bool(released_projects(document, run)),
    )


def concurrency(run: RunFacts, document: DiscoveryDocument) -> Concurrency:
    """What the run does with older ones of its branch; pull requests cancel them where the repository doesn't say."""
    configured = document.repository.concurrency if document.repository else None
    is_pull_request = run.source.git.event is TriggerType.PULL_REQUEST
    return configured or ("cancel" if is_pull_request else "queue")


def for_event(document: DiscoveryDocument, git: GitContext) -> DiscoveryDocument | None:
    """The document of a commit for another event: release triggers are evaluated anew.

    Nothing where the document comes from a version that did not keep them.
    """
    # The package of the configuration is large, and most runs never need it.
    from forge_project.discovery.triggers import matched_triggers

    strategy = document.repository.tagging_strategy if document.repository else "monorepo"
    projects = []
    for project in document.projects:
        if project.release_on is None:
            return None
        release = {"on": [trigger.model_dump(exclude_none=True) for trigger in project.release_on]}
        triggers = matched_triggers(project.name, release, git, strategy)
        projects.append(project.model_copy(update={"triggers": triggers, "release_triggered": bool(triggers)}))
    released = tuple(project.name for project in projects if project.release_triggered)
    changed = {"projects": tuple(projects), "release_enabled": bool(released), "release_projects": released}
    return document.model_copy(update=changed)


def plan_phases(document: DiscoveryDocument) -> list[PlannedPhase]:
    """All phases in the order of their groups, each with the tasks of the projects that have steps in it."""
    phases = document.repository.phases if document.repository else ()
    return [
        PlannedPhase(uuid7(), phase.name, phase.group, _tasks(document, phase))
        for phase in sorted(phases, key=lambda phase: (phase.group, phase.name))
    ]


def discovery_job(run: RunFacts) -> Job:
    """The job that reads the commit's configuration."""
    return _job(run.source, run.id, job_id(run.id, "discovery"), JobType.DISCOVERY, timeout_s=DISCOVERY_TIMEOUT_S)


def task_jobs(run: RunFacts, document: DiscoveryDocument, tasks: Sequence[TaskRow]) -> list[Job]:
    """One job for each of `tasks`."""
    return [_task_job(run, document, task) for task in tasks]


def released_projects(document: DiscoveryDocument, run: RunFacts) -> list[DiscoveredProject]:
    """The projects that the run releases; a pull request never releases, a release-only run exactly one project."""
    if run.release_request is not None:
        return [
            _requested(project, run.release_request)
            for project in document.projects
            if project.name == run.release_request.project
        ]
    if run.source.git.event is TriggerType.PULL_REQUEST:
        return []
    return [project for project in document.projects if project.name in document.release_projects]


def _requested(project: DiscoveredProject, request: ReleaseRequest) -> DiscoveredProject:
    # Completing a release is no reason for it: only a person who asks for one is.
    manual = MatchedTrigger(trigger_type=ReleaseTriggerType.MANUAL, branch=request.branch, tag=request.tag)
    return project.model_copy(update={"triggers": () if request.retry else (manual,)})


def artifact_jobs(
    run: RunFacts,
    document: DiscoveryDocument,
    project: DiscoveredProject,
    release_id: UUID,
    artifacts: Sequence[ArtifactDefinition],
    *,
    published: Mapping[str, tuple[PublisherResult, ...]] | None = None,
) -> list[Job]:
    """One job for each of `artifacts`, with the repository's definition of each of its publishers.

    `published` are the results of earlier tries that stand, by artifact.
    """
    return [
        _job(
            run.source,
            run.id,
            artifact_job_id(run, project.name, artifact.name),
            JobType.ARTIFACT,
            payload=ArtifactPayload(
                release_id=release_id,
                project=project.name,
                project_path=project.path,
                artifact=artifact,
                publishers=_publishers(document, artifact),
                published=(published or {}).get(artifact.name, ()),
                rebuild=run.release_request is not None and run.release_request.rebuild,
            ),
            timeout_s=ARTIFACT_TIMEOUT_S,
        )
        for artifact in artifacts
    ]


def artifact_job_id(run: RunFacts, project: str, artifact: str) -> UUID:
    """Id of the job that makes an artifact."""
    return job_id(run.id, "artifact", project, artifact)


def artifact_name(job: Job) -> str:
    """Name of the artifact that a job makes."""
    return job.payload_as(ArtifactPayload).artifact.name


def release_job(
    run: RunFacts, project: DiscoveredProject, release_id: UUID, artifacts: Sequence[ArtifactRecord]
) -> Job:
    """The job that renders and packs the release."""
    payload = ReleasePayload(
        release_id=release_id, project=project.name, project_path=project.path, artifacts=tuple(artifacts)
    )
    return _job(
        run.source,
        run.id,
        job_id(run.id, "release", project.name),
        JobType.RELEASE,
        payload=payload,
        timeout_s=RELEASE_TIMEOUT_S,
    )


def deployment_job(source: Source, run_id: UUID, payload: DeploymentPayload) -> Job:
    """The job that commits the pointer. Its id has the deployment's, so that a new deployment of a release runs again."""
    deployment_id = payload.deployment_id
    return _job(
        source,
        run_id,
        job_id(deployment_id, "deployment", payload.environment, payload.pointer.spec.project),
        JobType.DEPLOYMENT,
        payload=payload,
        timeout_s=DEPLOYMENT_TIMEOUT_S,
    )


def _tasks(document: DiscoveryDocument, phase: PhaseDefinition) -> tuple[PlannedTask, ...]:
    return tuple(
        PlannedTask(uuid7(), project.name, project.path, _steps(found))
        for project in document.projects
        for found in project.phases
        if found.name == phase.name and any(found.waves)
    )


def _steps(phase: ProjectPhase) -> tuple[PlannedStep, ...]:
    return tuple(PlannedStep(uuid7(), step.name, step.action) for wave in phase.waves for step in wave)


def _task_job(run: RunFacts, document: DiscoveryDocument, task: TaskRow) -> Job:
    limit = _phase(document, task.phase).timeout_s
    project = next(found for found in document.projects if found.name == task.project)
    phase = next(found for found in project.phases if found.name == task.phase)
    waves = tuple(tuple(_step_plan(step, task, limit) for step in wave) for wave in phase.waves if wave)
    payload = CiPayload(
        task_id=task.id, phase=task.phase, project=task.project, project_path=task.project_path, waves=waves
    )
    return _job(
        run.source,
        run.id,
        job_id(run.id, "ci", task.phase, task.project),
        JobType.CI,
        payload=payload,
        timeout_s=TASK_OVERHEAD_S + sum(max(step.timeout_s for step in wave) for wave in waves),
    )


def _step_plan(step: StepDefinition, task: TaskRow, limit: float) -> StepPlan:
    return StepPlan(
        id=task.steps[step.name],
        name=step.name,
        action=step.action,
        configuration=step.configuration,
        timeout_s=step.timeout_s or limit,
        secrets=step.secrets,
    )


def _phase(document: DiscoveryDocument, name: str) -> PhaseDefinition:
    phases = document.repository.phases if document.repository else ()
    return next(found for found in phases if found.name == name)


def _publishers(document: DiscoveryDocument, artifact: ArtifactDefinition) -> tuple[PublisherDefinition, ...]:
    if document.repository is None:
        return ()
    return tuple(document.repository.publisher(publisher.name) for publisher in artifact.publishers)


def _job(
    source: Source,
    run_id: UUID,
    id: UUID,
    type: JobType,
    *,
    payload: BaseModel | None = None,
    timeout_s: float,
) -> Job:
    return Job(
        id=id,
        type=type,
        run_id=run_id,
        repository=source.repository,
        clone_url=source.clone_url,
        git_credentials=source.git_credentials,
        commit_sha=source.commit_sha,
        git=source.git,
        payload=payload.model_dump(mode="json") if payload is not None else {},
        timeout_s=timeout_s,
        trace=source.trace,
    )
