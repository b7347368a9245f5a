"""What is read of runs, releases and deployments, and what workers write."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from forge_api.database.merging import merged_steps
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import job_id, slug, uuid7
from forge_sdk.models.api import (
    AttemptUpdate,
    CreateDeployment,
    Deployment,
    JobStatuses,
    LedgerUpdate,
    PluginDescription,
    Publication,
    RegisterPlugins,
    StatusBatch,
    StepStatusUpdate,
    TaskStatusUpdate,
)
from forge_sdk.models.statuses import AttemptState, ExecutionStatus, PublicationState
from forge_sdk.storage_keys import log_key

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
REPOSITORY = "acme/shop"


async def insert(database, table, **values):
    columns = ", ".join(values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    async with database.transaction() as connection:
        await connection.execute(f"insert into {table} ({columns}) values ({places})", *values.values())


@pytest.fixture
async def run(client, create_run, database):
    made = await client.create_run(create_run(branch="main"))
    async with database.connection() as connection:
        await connection.execute("update pipeline_runs set discovery_ref = 'discovery.json' where id = $1", made.id)
    return made


@pytest.fixture
async def project(database, repository):
    project_id = uuid7()
    repository_id = await database.fetch_value("select id from repositories")
    await insert(
        database,
        "projects",
        id=project_id,
        repository_id=repository_id,
        name="api",
        path="services/api",
        slug=slug(REPOSITORY, "api"),
    )
    return project_id


@pytest.fixture
async def step(database, run):
    phase, task, made = uuid7(), uuid7(), uuid7()
    await insert(database, "phase_executions", id=phase, run_id=run.id, phase_name="test", group_number=1)
    await insert(database, "task_executions", id=task, phase_id=phase, project_name="api", project_path="services/api")
    await insert(database, "step_executions", id=made, task_id=task, step_name="unit", action="command")
    return made, task, job_id(run.id, "ci", "test", "api")


def batch(step, token, status, **fields):
    step_id, task_id, job = step
    key = fields.pop("logs_key", None)
    statuses = JobStatuses(
        job_id=job,
        token=token,
        tasks=(TaskStatusUpdate(task_id=task_id, status=status, at=NOW),),
        steps=(StepStatusUpdate(step_id=step_id, status=status, at=NOW, logs_key=key, **fields),),
    )
    return StatusBatch(jobs=(statuses,))


async def refusal(client, statuses):
    [refused] = (await client.update_statuses(statuses)).refused
    return refused


async def only_step(client, run):
    return (await client.run(run.id)).phases[0].tasks[0].steps[0]


async def test_what_a_worker_reports_is_seen_in_the_run(client, run, step):
    key = log_key(run.id, "test", "api", "unit")
    await client.update_statuses(batch(step, 3, ExecutionStatus.RUNNING))
    await client.update_statuses(batch(step, 3, ExecutionStatus.FAILED, exit_code=2, logs_key=key))
    seen = await client.run(run.id)
    phase, task = seen.phases[0], seen.phases[0].tasks[0]
    assert (phase.name, phase.group, task.project, task.status) == ("test", 1, "api", ExecutionStatus.FAILED)
    found = task.steps[0]
    assert (found.status, found.exit_code, found.logs_available) == (ExecutionStatus.FAILED, 2, True)
    assert (found.started_at, found.completed_at) == (NOW, NOW)


async def test_an_orphan_changes_nothing(client, run, step):
    await client.update_statuses(batch(step, 5, ExecutionStatus.RUNNING))
    refused = await refusal(client, batch(step, 4, ExecutionStatus.FAILED))
    assert (refused.job_id, refused.code) == (step[2], ErrorCode.STALE_TOKEN)
    assert (await only_step(client, run)).status is ExecutionStatus.RUNNING


async def test_a_late_report_does_not_reopen_what_has_ended(client, run, step):
    await client.update_statuses(batch(step, 1, ExecutionStatus.SUCCESS, exit_code=0))
    await client.update_statuses(batch(step, 1, ExecutionStatus.RUNNING))
    assert (await only_step(client, run)).status is ExecutionStatus.SUCCESS


async def test_a_job_writes_its_own_task_only(client, step):
    refused = await refusal(client, batch((step[0], step[1], uuid4()), 1, ExecutionStatus.RUNNING))
    assert refused.code == ErrorCode.CONFLICT
    assert "not part of job" in refused.message


@pytest.mark.parametrize("key", ["job-results/x.json", "pipeline-logs/other/x.log", "pipeline-logs/{run}/../x.log"])
async def test_a_log_lies_in_its_runs_folder(client, run, step, key):
    refused = await refusal(client, batch(step, 1, ExecutionStatus.RUNNING, logs_key=key.format(run=run.id)))
    assert "not in the folder" in refused.message
    assert (await only_step(client, run)).status is ExecutionStatus.PENDING


async def test_a_task_that_does_not_exist_is_not_found(client, step):
    refused = await refusal(client, batch((uuid4(), uuid4(), step[2]), 1, ExecutionStatus.RUNNING))
    assert refused.code == ErrorCode.NOT_FOUND


async def test_a_refused_job_leaves_the_others_of_its_batch_and_its_own_token_alone(client, run, step):
    [good] = batch(step, 3, ExecutionStatus.RUNNING).jobs
    [foreign] = batch((step[0], step[1], uuid4()), 9, ExecutionStatus.FAILED).jobs
    assert (await refusal(client, StatusBatch(jobs=(foreign, good)))).job_id == foreign.job_id
    assert (await only_step(client, run)).status is ExecutionStatus.RUNNING
    [unknown] = batch((uuid4(), step[1], step[2]), 9, ExecutionStatus.FAILED).jobs
    assert (await refusal(client, StatusBatch(jobs=(unknown,)))).code == ErrorCode.NOT_FOUND
    assert (await client.update_statuses(batch(step, 3, ExecutionStatus.SUCCESS))).refused == ()


async def test_a_single_status_is_reported_under_the_token_of_its_job(client, http, bearer, run, step):
    step_id, task_id, job = step
    body = {"job_id": str(job), "token": 3, "status": "failed", "at": NOW.isoformat()}
    task, unit = f"/v1/tasks/{task_id}/status", f"/v1/steps/{step_id}/status"
    assert (await http.put(task, json=body, headers=bearer())).status == 204
    assert (await http.put(unit, json={**body, "exit_code": 2}, headers=bearer())).status == 204
    assert (await client.run(run.id)).phases[0].tasks[0].status is ExecutionStatus.FAILED
    found = await only_step(client, run)
    assert (found.status, found.exit_code) == (ExecutionStatus.FAILED, 2)
    async with http.put(unit, json={**body, "token": 2}, headers=bearer()) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (409, "stale_token")
    assert (await http.put(f"/v1/steps/{uuid4()}/status", json=body, headers=bearer())).status == 404


def test_several_updates_of_one_step_become_one_row():
    step_id = uuid4()
    later = NOW + timedelta(seconds=3)
    updates = [
        StepStatusUpdate(step_id=step_id, status=ExecutionStatus.RUNNING, at=NOW),
        StepStatusUpdate(step_id=step_id, status=ExecutionStatus.SUCCESS, at=later, exit_code=0),
    ]
    columns = [list(column) for column in merged_steps(updates)]
    assert columns == [[step_id], [ExecutionStatus.SUCCESS], [NOW], [later], [0], [None]]


async def test_a_log_is_read_through_a_redirect(client, run, step, services):
    key = log_key(run.id, "test", "api", "unit")
    await client.update_statuses(batch(step, 1, ExecutionStatus.SUCCESS, logs_key=key))
    with pytest.raises(PlatformError, match="is not there"):
        async with client.step_log(step[0]):
            pass
    await services.storage.put(key, b"all tests passed\n")
    async with client.step_log(step[0]) as stream:
        assert await stream.read() == b"all tests passed\n"


async def test_a_log_that_is_not_known_is_not_found(client):
    with pytest.raises(PlatformError) as failure:
        async with client.step_log(uuid4()):
            pass
    assert failure.value.code is ErrorCode.NOT_FOUND


@pytest.fixture
async def attempt(database, run, project):
    made = uuid7()
    await insert(database, "release_attempts", id=made, run_id=run.id, project_id=project, commit_sha=run.commit_sha)
    await insert(database, "attempt_artifacts", id=uuid7(), attempt_id=made, name="wheel", type="archive")
    return made


def ledger(run, state, *, token=1, artifact="wheel"):
    row = Publication(artifact=artifact, publisher="pypi", file="a.whl", digest=DIGEST, state=state, uri="u")
    return LedgerUpdate(job_id=job_id(run.id, "artifact", "api", "wheel"), token=token, rows=(row,))


async def publications(client, run):
    return (await client.run(run.id)).attempts[0].artifacts[0].publications


async def test_the_ledger_is_seen_in_the_run(client, run, attempt):
    await client.update_publications(attempt, ledger(run, PublicationState.PLANNED))
    await client.update_publications(attempt, ledger(run, PublicationState.PUBLISHED))
    (row,) = await publications(client, run)
    assert (row.publisher, row.state, row.uri) == ("pypi", PublicationState.PUBLISHED, "u")


async def test_what_reached_its_target_is_not_planned_again(client, run, attempt):
    await client.update_publications(attempt, ledger(run, PublicationState.PUBLISHED))
    await client.update_publications(attempt, ledger(run, PublicationState.PLANNED, token=2))
    assert (await publications(client, run))[0].state is PublicationState.PUBLISHED


async def test_an_orphan_does_not_write_the_ledger(client, run, attempt):
    await client.update_publications(attempt, ledger(run, PublicationState.PLANNED, token=2))
    with pytest.raises(PlatformError) as failure:
        await client.update_publications(attempt, ledger(run, PublicationState.FAILED, token=1))
    assert failure.value.code is ErrorCode.STALE_TOKEN


async def test_the_ledger_names_artifacts_of_its_attempt(client, run, attempt):
    for release_id, artifact in ((attempt, "other"), (uuid4(), "wheel")):
        with pytest.raises(PlatformError) as failure:
            await client.update_publications(release_id, ledger(run, PublicationState.PLANNED, artifact=artifact))
        assert failure.value.code is ErrorCode.NOT_FOUND


async def test_an_attempt_advances_and_its_log_can_be_found(client, run, attempt, services):
    job = job_id(run.id, "artifact", "api", "wheel")
    key = log_key(run.id, "artifact", "api", "wheel")
    await services.storage.put(key, b"built\n")
    await client.update_attempt(attempt, AttemptUpdate(job_id=job, token=1, state=AttemptState.BUILDING, logs_key=key))
    seen = (await client.run(run.id)).attempts[0]
    assert (seen.release_id, seen.state, seen.artifacts[0].logs_available) == (attempt, AttemptState.BUILDING, True)
    async with client.step_log(job) as stream:
        assert await stream.read() == b"built\n"


async def test_a_worker_does_not_say_that_a_release_is_recorded(client, run, attempt):
    body = AttemptUpdate(job_id=uuid4(), token=1, state=AttemptState.RECORDED)
    with pytest.raises(PlatformError, match="by the platform"):
        await client.update_attempt(attempt, body)


@pytest.fixture
async def release(database, project, run):
    return await make_release(database, project, run, 1, run.commit_sha)


async def make_release(database, project, run, number, sha):
    made = uuid7()
    await insert(
        database,
        "releases",
        id=made,
        repository_id=await database.fetch_value("select id from repositories"),
        project_id=project,
        commit_sha=sha,
        release_number=number,
        run_id=run.id,
        status="complete",
        oci_uri=f"acme/shop/api:{sha}",
        oci_digest=DIGEST,
        created_by="alice",
    )
    for alias, kind in ((str(number), "numeric"), (f"main-{number}", "branch")):
        await insert(
            database,
            "release_aliases",
            id=uuid7(),
            release_id=made,
            project_id=project,
            alias=alias,
            alias_type=kind,
        )
    await insert(
        database,
        "release_triggers",
        id=uuid7(),
        release_id=made,
        trigger_type="branch_push",
        branch="main",
        triggered_by="alice",
    )
    await insert(
        database,
        "release_artifacts",
        id=uuid7(),
        release_id=made,
        artifact_name="wheel",
        artifact_type="archive",
        tracking_oci_uri=f"acme/shop/api/wheel:sha-{sha}",
        tracking_oci_digest=DIGEST,
        publisher_results=[{"publisher": "pypi", "uri": "u"}],
    )
    return made


@pytest.mark.parametrize("reference", ["1", "main-1", "0123456", "0123456789abcdef0123456789abcdef01234567"])
async def test_a_release_is_found_by_alias_number_and_commit(client, release, reference):
    found = await client.release(REPOSITORY, "api", reference)
    assert (found.id, found.release_number) == (release, 1)
    assert found.canonical_id == "acme/shop/api/0123456789abcdef0123456789abcdef01234567"
    assert [alias.alias for alias in found.aliases] == ["1", "main-1"]
    assert (found.triggers[0].branch, found.artifacts[0].publisher_results[0].publisher) == ("main", "pypi")


@pytest.mark.parametrize("reference", ["2", "012345", "fffffff", "main", "%", "main_1"])
async def test_what_names_no_release_is_not_found(client, release, reference):
    with pytest.raises(PlatformError) as failure:
        await client.release(REPOSITORY, "api", reference)
    assert failure.value.code is ErrorCode.NOT_FOUND


async def test_an_ambiguous_prefix_lists_its_candidates(client, database, project, run, release):
    other = "0123456" + "f" * 33
    await make_release(database, project, run, 2, other)
    with pytest.raises(PlatformError, match=other) as failure:
        await client.release(REPOSITORY, "api", "0123456")
    assert failure.value.code is ErrorCode.CONFLICT
    assert (await client.release(REPOSITORY, "api", "0123456f")).release_number == 2


async def test_an_alias_comes_before_a_commit(client, database, project, run, release):
    second = await make_release(database, project, run, 2, "f" * 40)
    await insert(
        database,
        "release_aliases",
        id=uuid7(),
        release_id=second,
        project_id=project,
        alias="0123456",
        alias_type="custom",
    )
    assert (await client.release(REPOSITORY, "api", "0123456")).id == second


async def test_releases_of_a_project_come_newest_first(http, bearer, client, database, project, run):
    for number in (1, 2, 3):
        await make_release(database, project, run, number, f"{number:040x}")
    assert [item.release_number for item in (await client.releases(REPOSITORY, "api")).items] == [3, 2, 1]
    first = await (await http.get("/v1/releases/acme/shop/api?limit=2", headers=bearer())).json()
    rest = await client.releases(REPOSITORY, "api", cursor=first["next_cursor"])
    assert [item.release_number for item in rest.items] == [1]


async def test_a_release_that_has_not_changed_is_not_sent_again(http, bearer, release):
    path = "/v1/releases/acme/shop/api/1"
    tag = (await http.get(path, headers=bearer())).headers["ETag"]
    assert (await http.get(path, headers={**bearer(), "If-None-Match": tag})).status == 304


@pytest.fixture
async def deployment(database, release, project, run):
    made = uuid7()
    await insert(
        database,
        "deployments",
        id=made,
        release_id=release,
        project_id=project,
        run_id=run.id,
        environment="dev",
        status="active",
        deployed_by="alice",
        deployed_at=NOW,
        gitops_commit_sha="c" * 40,
    )
    return made


async def test_a_deployment_is_seen_in_history_release_and_run(client, deployment, run):
    (found,) = (await client.deployments("dev", REPOSITORY, "api")).items
    assert (found.id, found.slug, found.release_number) == (deployment, "shop-api", 1)
    seen = await client.run(run.id)
    assert [entry.id for entry in seen.deployments] == [deployment]
    assert [entry.id for entry in seen.releases[0].deployments] == [deployment]
    assert not (await client.deployments("production", REPOSITORY, "api")).items


async def test_there_is_one_active_deployment_of_a_project_in_an_environment(database, deployment, release, project):
    with pytest.raises(PlatformError) as failure:
        await insert(
            database,
            "deployments",
            id=uuid7(),
            release_id=release,
            project_id=project,
            environment="dev",
            status="active",
            deployed_by="bob",
        )
    assert failure.value.code is ErrorCode.CONFLICT


async def test_a_request_for_a_deployment_names_who_asked(client, services, deployment):
    services.deployments.answer = (await client.deployments("dev", REPOSITORY, "api")).items[0]
    body = CreateDeployment(environment="dev", repository=REPOSITORY, project="api", release="main-1")
    assert isinstance(await client.create_deployment(body), Deployment)
    assert services.deployments.requests == [(body, "alice")]


async def test_a_refused_deployment_says_what_the_policy_requires(http, bearer):
    body = {"environment": "production", "repository": REPOSITORY, "project": "api", "release": "1"}
    answer = await http.post("/v1/deployments", json=body, headers=bearer())
    error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (409, "deployment_refused")
    assert error["details"][0]["requires"] == {"allowed_triggers": ["tag"]}


async def test_environments_are_listed(http, bearer):
    answer = await (await http.get("/v1/environments", headers=bearer())).json()
    assert answer["items"][0] == {"schemaVersion": "1.0", "name": "dev", "policy": {"auto_deploy": True}}


async def test_plugins_of_a_service_are_replaced_by_its_next_registration(client):
    plugin = PluginDescription(kind="publisher", name="pypi", distribution="p", version="1", schema_digest="d")
    await client.register_plugins("worker-1", RegisterPlugins(pools=("artifact",)))
    await client.register_plugins("worker-1", RegisterPlugins(pools=("artifact",), plugins=(plugin,)))
    (found,) = (await client.plugins()).sets
    assert (found.service, found.plugins) == ("worker-1", (plugin,))
