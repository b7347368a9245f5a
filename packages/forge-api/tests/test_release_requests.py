"""What people ask of releases and environments, as the API answers it."""

import pytest

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import CreateDeployment, CreateRelease

REPOSITORY, SHA, OTHER = "acme/shop", "0123456789abcdef0123456789abcdef01234567", "f" * 40
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def add_release(database, project):
    """Adds a release with one row of the ledger."""

    async def add(sha=SHA, number=1, status="complete", state="published"):
        release_id = uuid7()
        async with database.transaction() as connection:
            await connection.execute(
                "insert into release_attempts (id, project_id, commit_sha, state) values ($1, $2, $3, 'recorded')",
                release_id,
                project["id"],
                sha,
            )
            await connection.execute(
                "insert into attempt_artifacts (id, attempt_id, name, type) values ($1, $2, 'wheel', 'archive')",
                uuid7(),
                release_id,
            )
            await connection.execute(
                "insert into publish_records (id, attempt_id, artifact, publisher, file, digest, state, token) "
                "values ($1, $2, 'wheel', 'index', 'a.whl', $3, $4, 1)",
                uuid7(),
                release_id,
                DIGEST,
                state,
            )
            await connection.execute(
                "insert into releases (id, repository_id, project_id, commit_sha, release_number, status, oci_uri, "
                "oci_digest, created_by) values ($1, $2, $3, $4, $5, $6, 'acme/shop/api:x', $7, 'alice')",
                release_id,
                project["repository_id"],
                project["id"],
                sha,
                number,
                status,
                DIGEST,
            )
        return release_id

    return add


def body(**values):
    return CreateRelease(**{"repository": REPOSITORY, "project": "api", "commit_sha": SHA, **values})


async def test_a_new_release_is_pending_and_names_its_run(client, services, project):
    answer = await client.create_release(body(branch="main"))
    assert (answer.status, answer.canonical_id) == ("pending", f"acme/shop/api/{SHA}")
    assert [plan.run_id for plan in services.engine.submitted] == [answer.run_id]
    run = await client.run(answer.run_id)
    assert (run.trigger_type, run.triggered_by) == ("manual", "alice")


async def test_a_release_that_is_there_is_returned_with_the_new_alias(client, add_release):
    release_id = await add_release()
    for _ in range(2):
        answer = await client.create_release(body(aliases=("launch",)))
        assert (answer.id, answer.release_number, answer.status, answer.run_id) == (release_id, 1, "complete", None)
    assert [alias.alias for alias in answer.aliases] == ["launch"]
    assert (await client.release(REPOSITORY, "api", "launch")).id == release_id


async def test_an_alias_of_another_release_is_a_conflict(client, add_release):
    await add_release()
    await client.create_release(body(aliases=("launch",)))
    with pytest.raises(PlatformError, match="another release of the project is called launch") as caught:
        await client.create_release(body(commit_sha=OTHER, aliases=("launch",)))
    assert caught.value.code is ErrorCode.CONFLICT


@pytest.mark.parametrize("alias", ["42", "0123456", "a" * 40, "-x", "a b", "ä"])
async def test_an_alias_that_looks_like_a_number_or_a_sha_is_refused(http, bearer, project, alias):
    content = {"repository": REPOSITORY, "project": "api", "commit_sha": SHA, "aliases": [alias]}
    answer = await http.post("/v1/releases", json=content, headers=bearer())
    assert answer.status == 422
    assert (await answer.json())["error"]["details"][0]["pointer"] == "/aliases/0"


async def test_a_repository_that_is_not_registered_is_not_found(client, project):
    with pytest.raises(PlatformError, match="is not registered"):
        await client.create_release(body(repository="acme/other"))


async def test_a_release_shows_its_ledger(client, add_release):
    await add_release(status="partial", state="failed")
    [row] = (await client.release(REPOSITORY, "api", "1")).publications
    assert (row.artifact, row.publisher, row.file, row.state) == ("wheel", "index", "a.whl", "failed")


async def test_a_retry_of_a_partial_release_is_a_run(client, services, add_release):
    await add_release(status="partial", state="failed")
    answer = await client.retry_release(REPOSITORY, "api", "1")
    assert (answer.status, [plan.run_id for plan in services.engine.submitted]) == ("pending", [answer.run_id])


async def test_a_retry_of_a_complete_release_changes_nothing(client, services, add_release):
    release_id = await add_release()
    answer = await client.retry_release(REPOSITORY, "api", "1")
    assert (answer.id, answer.status, services.engine.submitted) == (release_id, "complete", [])


async def test_what_is_given_up_is_not_retried(client, add_release):
    await add_release(status="partial", state="conflict")
    [row] = (await client.give_up_release(REPOSITORY, "api", "1")).publications
    assert row.state == "given-up"
    with pytest.raises(PlatformError, match="was given up: ask for a rebuild"):
        await client.retry_release(REPOSITORY, "api", "1")
    assert (await client.retry_release(REPOSITORY, "api", "1", rebuild=True)).status == "pending"


async def test_giving_up_is_audited_with_who_did_it(client, database, add_release):
    await add_release(status="partial", state="failed")
    await client.give_up_release(REPOSITORY, "api", "1")
    actor = await database.fetch_value("select actor from audit_events where action = 'release.given_up'")
    assert actor == "alice"


@pytest.mark.parametrize("reference", ["7", "v9", "abcdef0"])
async def test_a_retry_of_nothing_is_not_found(client, project, reference):
    with pytest.raises(PlatformError) as caught:
        await client.retry_release(REPOSITORY, "api", reference)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_a_number_goes_before_a_sha_and_an_alias_before_both(client, add_release, database, project):
    first = await add_release(sha="1234567" + "a" * 33, number=1)
    second = await add_release(sha="b" * 40, number=1234567)
    assert (await client.release(REPOSITORY, "api", "1234567")).id == second
    async with database.transaction() as connection:
        await connection.execute(
            "insert into release_aliases (id, release_id, project_id, alias, alias_type) values ($1, $2, $3, '1234567', 'tag')",
            uuid7(),
            first,
            project["id"],
        )
    assert (await client.release(REPOSITORY, "api", "1234567")).id == first


@pytest.fixture
async def hold(database, project):
    async with database.transaction() as connection:
        await connection.execute(
            "insert into holds (id, project_id, environment, reason, set_by) values ($1, $2, 'dev', 'incident', 'eve')",
            uuid7(),
            project["id"],
        )


async def test_a_hold_is_listed_and_lifted_once(client, hold):
    [found] = (await client.holds(environment="dev")).items
    assert (found.repository, found.project, found.reason, found.set_by) == (REPOSITORY, "api", "incident", "eve")
    assert not (await client.holds(environment="production")).items
    await client.lift_hold("dev", REPOSITORY, "api")
    assert not (await client.holds()).items
    with pytest.raises(PlatformError, match="nothing holds automatic deployments"):
        await client.lift_hold("dev", REPOSITORY, "api")


async def test_lifting_a_hold_is_audited_with_the_reason_that_it_had(client, database, hold):
    await client.lift_hold("dev", REPOSITORY, "api")
    before = await database.fetch_value("select before from audit_events where action = 'hold.lifted'")
    assert (before["reason"], before["set_by"]) == ("incident", "eve")


async def test_what_runs_in_an_environment_is_listed_by_repository(client, database, add_release, project):
    release_id = await add_release()
    async with database.transaction() as connection:
        for environment, status in (("dev", "active"), ("production", "failed")):
            await connection.execute(
                "insert into deployments (id, release_id, project_id, environment, status, deployed_by) "
                "values ($1, $2, $3, $4, $5, 'alice')",
                uuid7(),
                release_id,
                project["id"],
                environment,
                status,
            )
    [found] = (await client.active_deployments("dev", repository=REPOSITORY)).items
    assert (found.project, found.release_number, found.status) == ("api", 1, "active")
    assert not (await client.active_deployments("dev", repository="acme/other")).items
    assert not (await client.active_deployments("production")).items


@pytest.mark.parametrize(
    "values",
    [{}, {"rollback": True, "allow_divergent": True}, {"release": "1", "rollback": True, "allow_divergent": True}],
)
async def test_a_deployment_needs_a_release_and_at_most_one_intent(http, bearer, project, values):
    content = {"environment": "dev", "repository": REPOSITORY, "project": "api", **values}
    assert (await http.post("/v1/deployments", json=content, headers=bearer())).status == 422


async def test_a_rollback_needs_no_release(client, services, project):
    wanted = CreateDeployment(environment="dev", repository=REPOSITORY, project="api", rollback=True)
    with pytest.raises(PlatformError):
        await client.create_deployment(wanted)
    assert services.deployments.requests == [(wanted, "alice")]
