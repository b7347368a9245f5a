from datetime import UTC, datetime

import pytest

from forge_api.pipeline import planner
from forge_api.pipeline.facts import RunFacts, Source, TaskRow
from forge_api.pipeline.naming import branch_alias, tag_alias
from forge_sdk.identifiers import job_id, uuid7
from forge_sdk.models.discovery import ProjectPhase, RepositoryConfiguration, StepDefinition
from forge_sdk.models.jobs import GitContext
from forge_sdk.models.payloads import ArtifactPayload, CiPayload
from forge_sdk.secrets import SecretReference

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def run():
    source = Source(
        repository="acme/shop",
        clone_url="https://github.com/acme/shop.git",
        git_credentials=SecretReference(provider="local", key="github"),
        commit_sha="a" * 40,
        git=GitContext(branch="main", event="push"),
        trace=TRACE,
    )
    return RunFacts(uuid7(), uuid7(), source, "alice", "running", False, None, datetime.now(UTC))


def task(phase, **values):
    rows = {"id": uuid7(), "group": 1, "project": "api", "project_path": "services/api", "status": "pending"}
    return TaskRow(phase=phase, **{**rows, "steps": {"a": uuid7(), "b": uuid7(), "c": uuid7()}, **values})


def with_waves(project, *waves):
    return project.model_copy(update={"phases": (ProjectPhase(name="test", waves=waves),)})


def step(name, **values):
    return StepDefinition(name=name, action="command", **values)


def test_every_phase_gets_a_row_in_the_order_of_the_groups(make_document, make_project):
    phases = planner.plan_phases(make_document(make_project("api", "test"), make_project("web", "check", "test")))
    assert [(phase.group, phase.name, len(phase.tasks)) for phase in phases] == [
        (1, "check", 1),
        (2, "scan", 0),
        (2, "test", 2),
    ]


def test_a_document_without_repository_configuration_has_no_phases(make_document):
    assert planner.plan_phases(make_document().model_copy(update={"repository": None})) == []


def test_a_job_carries_source_credentials_reference_and_trace(run):
    job = planner.discovery_job(run)
    assert job.id == job_id(run.id, "discovery")
    assert (job.clone_url, job.git.branch, job.trace) == ("https://github.com/acme/shop.git", "main", TRACE)
    assert job.git_credentials.fields == {"key": "github"}


def test_a_task_carries_the_ids_of_its_rows(run, make_document, make_project):
    project = with_waves(make_project("api"), (step("a"), step("b")), (step("c"),))
    row = task("test")
    [job] = planner.task_jobs(run, make_document(project), [row])
    payload = job.payload_as(CiPayload)
    assert payload.task_id == row.id
    assert [[found.id for found in wave] for wave in payload.waves] == [
        [row.steps["a"], row.steps["b"]],
        [row.steps["c"]],
    ]
    assert job.id == job_id(run.id, "ci", "test", "api")


def test_a_tasks_timeout_is_that_of_its_waves(run, make_document, make_project):
    project = with_waves(make_project("api"), (step("a", timeout_s=60), step("b", timeout_s=90)), (step("c"),))
    [job] = planner.task_jobs(run, make_document(project), [task("test")])
    # The third step has the phase's own timeout.
    assert job.timeout_s == planner.TASK_OVERHEAD_S + 90 + 600


def test_an_artifact_carries_the_repositorys_publishers(run, make_document, make_project):
    project = make_project("api", artifacts=("wheel",))
    release_id = uuid7()
    [job] = planner.artifact_jobs(run, make_document(project), project, release_id, project.artifacts)
    payload = job.payload_as(ArtifactPayload)
    assert (payload.release_id, [found.type for found in payload.publishers]) == (release_id, ["pypi"])
    assert job.id == job_id(run.id, "artifact", "api", "wheel")


@pytest.mark.parametrize(
    ("strategy", "tag", "alias"),
    [
        ("monorepo", "api/v1.2.3", "v1.2.3"),
        ("monorepo", "web/v1.2.3", None),
        ("monorepo", "v1.2.3", None),
        ("monorepo", "api/", None),
        ("tag-all", "v1.2.3", "v1.2.3"),
    ],
)
def test_a_tag_names_a_release_by_the_strategy(strategy, tag, alias):
    repository = RepositoryConfiguration(forge_version="v0.1.0", tagging_strategy=strategy)
    assert tag_alias(repository, "api", tag) == alias


def test_a_branch_names_a_release_with_its_number():
    assert branch_alias("release/1.2", 42) == "release-1.2-42"
