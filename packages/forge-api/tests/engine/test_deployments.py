"""Deployments: requests, policies, order, failures."""

import pytest

from forge_sdk.errors import ErrorCode, PlatformError, chain

SHAS = ["1" * 40, "2" * 40, "3" * 40]


@pytest.fixture
async def release(platform, make_document, make_project):
    """Release 1 of api, active in dev."""
    platform.worker.document = make_document(make_project("api", artifacts=("wheel",)))
    run = await platform.run(sha=SHAS[0])
    return run.releases[0]


@pytest.fixture
def deploy(platform):
    async def request(reference="1", environment="staging"):
        return await platform.request(environment, reference)

    return request


async def test_a_deployment_becomes_active_with_its_commit(platform, release, deploy):
    made = await deploy()
    assert (made.status, made.deployed_by) == ("pending", "bob")
    done = await platform.deployed(made.id)
    assert (done.status, done.gitops_commit_sha) == ("active", made.id.hex + "0" * 8)
    assert done.deployed_at is not None


async def test_its_audit_events_name_the_request(platform, release, deploy):
    made = await platform.deployed((await deploy()).id)
    rows = await platform.fetch(
        f"select action, actor, request_id from audit_events where subject = 'deployment/{made.id}' order by sequence"
    )
    assert [tuple(row) for row in rows] == [
        ("deployment.created", "bob", "request-7"),
        ("deployment.completed", "bob", "request-7"),
    ]


async def test_the_pointer_names_the_release(platform, release, deploy):
    await platform.deployed((await deploy()).id)
    payload = platform.worker.jobs["deployment staging/api"].payload
    pointer = payload["pointer"]
    assert (payload["slug"], pointer["metadata"]["namespace"]) == ("shop-api", "shop-api")
    assert pointer["spec"]["digest"] == release.oci_digest
    assert pointer["spec"]["aliases"] == {"numeric": 1, "tag": None, "branch": "main-1"}
    assert pointer["spec"]["deployedBy"] == "bob"


async def test_asking_again_for_what_is_active_returns_it(platform, release, deploy):
    first = await platform.deployed((await deploy()).id)
    again = await deploy(reference=SHAS[0][:7])
    assert (again.id, again.status) == (first.id, "active")
    assert platform.worker.executed.count("deployment staging/api") == 1


async def test_asking_again_while_it_is_pending_returns_it(platform, release, deploy):
    platform.worker.hold = {"deployment staging/api"}
    first, again = await deploy(), await deploy()
    assert again.id == first.id
    platform.worker.hold = set()
    await platform.deployed(first.id)


async def test_the_next_release_supersedes_the_one_before(platform, release, deploy):
    first = await platform.deployed((await deploy()).id)
    await platform.run(sha=SHAS[1])
    second = await platform.deployed((await deploy("2")).id)
    assert second.status == "active"
    assert (await platform.deployed(first.id)).status == "superseded"


async def test_further_requests_wait_in_order(platform, release, deploy):
    for sha in SHAS[1:]:
        await platform.run(sha=sha)
    platform.worker.hold = {"deployment staging/api"}
    made = [await deploy(str(number)) for number in (1, 2, 3)]
    assert [found.status for found in made] == ["pending", "queued", "queued"]
    await platform.running("deployment staging/api")
    platform.worker.hold = set()
    statuses = [(await platform.deployed(found.id)).status for found in reversed(made)]
    assert statuses == ["active", "superseded", "superseded"]


async def test_a_queued_one_is_refused_when_the_policy_changed(platform, release, deploy, environments_file):
    await platform.run(sha=SHAS[1])
    platform.worker.hold = {"deployment staging/api"}
    first, second = await deploy("1"), await deploy("2")
    environments_file.write_text("environments: {staging: {promotion_policy: {allowed_triggers: [tag]}}}")
    platform.worker.hold = set()
    assert (await platform.deployed(first.id)).status == "active"
    refused = await platform.deployed(second.id)
    assert (refused.status, refused.error.code) == ("refused", "deployment_refused")


async def test_a_failed_deployment_is_recorded_and_can_be_asked_for_again(platform, release, deploy, make_error):
    platform.worker.fail["deployment staging/api"] = make_error("push was rejected 5 times", ErrorCode.GIT_FAILED)
    failed = await platform.deployed((await deploy()).id)
    assert failed.status == "failed"
    assert [found.code for found in chain(failed.error)] == ["deployment_failed", "git_failed"]
    platform.worker.fail.clear()
    again = await deploy()
    assert again.id != failed.id
    assert (await platform.deployed(again.id)).status == "active"


async def test_a_failed_automatic_deployment_leaves_the_run_alone(platform, make_document, make_project, make_error):
    platform.worker.document = make_document(make_project("api", artifacts=("wheel",)))
    platform.worker.fail["deployment dev/api"] = make_error("no", ErrorCode.GIT_FAILED)
    run = await platform.run()
    assert (run.status, run.releases[0].status, run.deployments[0].status) == ("success", "complete", "failed")


async def test_a_refusal_says_policy_requirement_and_fact_and_writes_nothing(platform, release, deploy):
    before = await platform.fetch("select id from deployments")
    with pytest.raises(PlatformError) as caught:
        await deploy(environment="production")
    assert caught.value.code is ErrorCode.DEPLOYMENT_REFUSED
    assert caught.value.context == {
        "environment": "production",
        "policy": "allowed_triggers",
        "requires": "tag",
        "has": "branch_push",
    }
    assert await platform.fetch("select id from deployments") == before
    [event] = await platform.fetch("select actor, after from audit_events where action = 'deployment.refused'")
    assert (event["actor"], event["after"]["policy"]) == ("bob", "allowed_triggers")


async def test_an_unknown_environment_names_those_that_there_are(platform, release, deploy):
    with pytest.raises(PlatformError, match="configured are: approved, dev, last, production, staging"):
        await deploy(environment="qa")


async def test_an_unknown_release_is_not_found(platform, release, deploy):
    with pytest.raises(PlatformError) as caught:
        await deploy(reference="v9")
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_a_deployment_goes_on_after_a_crash(platform, release, deploy):
    platform.worker.hold = {"deployment staging/api"}
    async with platform.new_engine() as platform.engine:
        made = await deploy()
        await platform.running("deployment staging/api")
    platform.worker.hold = set()
    async with platform.new_engine() as platform.engine:
        await platform.engine.resume()
        assert (await platform.deployed(made.id)).status == "active"
    assert platform.worker.executed.count("deployment staging/api") == 1


async def test_two_projects_with_one_slug_get_two(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("a-b"), make_project("A-b"))
    await platform.run()
    rows = await platform.fetch("select slug from projects order by slug")
    assert len({row["slug"] for row in rows}) == 2
    assert rows[0]["slug"] == "shop-a-b"


async def test_a_project_without_deployment_is_not_deployed(platform, make_document, make_project):
    project = make_project("api", artifacts=("wheel",)).model_copy(update={"deployment": False})
    platform.worker.document = make_document(project)
    run = await platform.run()
    assert (run.status, run.deployments) == ("success", ())
