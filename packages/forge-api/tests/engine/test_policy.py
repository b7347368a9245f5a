from datetime import UTC, datetime, timedelta

import pytest

from forge_api.deployments import policy
from forge_api.deployments.environments import EnvironmentPolicy
from forge_sdk.errors import PlatformError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import Deployment, Release

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PUSH = {"trigger_type": "branch_push", "branch": "main"}
TAG = {"trigger_type": "tag", "tag": "v1"}
MANUAL = {"trigger_type": "manual"}


def release(*triggers, status="complete", deployments=()):
    return Release(
        id=uuid7(),
        canonical_id="acme/shop/api/" + "a" * 40,
        repository="acme/shop",
        project="api",
        commit_sha="a" * 40,
        release_number=1,
        status=status,
        oci_uri="acme/shop/api:a",
        oci_digest="sha256:" + "a" * 64,
        created_by="alice",
        created_at=datetime.now(UTC),
        triggers=triggers,
        deployments=deployments,
    )


def refused_by(found, wanted):
    """The policy of the environment that refuses the release, or nothing."""
    try:
        policy.require("production", found, wanted, NOW)
    except PlatformError as error:
        return error.context["policy"]
    return None


def environment(**promotion):
    return EnvironmentPolicy.model_validate({"promotion_policy": promotion})


@pytest.mark.parametrize(
    ("promotion", "triggers"),
    [
        ({}, [MANUAL]),
        ({"allowed_triggers": ["tag"]}, [PUSH, TAG]),
        ({"allowed_branches": ["main"]}, [PUSH]),
        ({"allowed_branches": ["m*"]}, [PUSH]),
        ({"allowed_branches": ["release/*"]}, [{**PUSH, "branch": "release/1.2"}]),
        ({"allowed_branches": ["release/*"]}, [TAG]),
        ({"allowed_branches": ["release/*"]}, [PUSH, TAG]),
    ],
)
def test_a_release_that_has_what_is_required_is_taken(promotion, triggers):
    assert refused_by(environment(**promotion), release(*triggers)) is None


@pytest.mark.parametrize(
    ("promotion", "triggers", "context"),
    [
        ({"allowed_triggers": ["tag"]}, [PUSH], ("allowed_triggers", "tag", "branch_push")),
        ({"allowed_triggers": ["tag", "manual"]}, [PUSH], ("allowed_triggers", "tag or manual", "branch_push")),
        ({"allowed_triggers": []}, [TAG], ("allowed_triggers", "none", "tag")),
        ({}, [], ("allowed_triggers", "branch_push or tag or manual", "none")),
        ({"allowed_branches": ["release/*"]}, [PUSH], ("allowed_branches", "release/*", "main")),
        ({"allowed_branches": ["main"]}, [MANUAL], ("allowed_branches", "main", "none")),
        (
            {"allowed_branches": ["release/*"], "allowed_triggers": ["branch_push"]},
            [PUSH, TAG],
            ("allowed_branches", "release/*", "main"),
        ),
    ],
)
def test_a_refusal_says_what_is_required_and_what_there_is(promotion, triggers, context):
    with pytest.raises(PlatformError) as caught:
        policy.require("dev", environment(**promotion), release(*triggers), NOW)
    found = caught.value.context
    assert (found["policy"], found["requires"], found["has"]) == context


def test_a_partial_release_is_refused_unless_allowed():
    partial = release(PUSH, status="partial")
    with pytest.raises(PlatformError, match="allow_partial"):
        policy.require("dev", environment(), partial, NOW)
    policy.require("dev", environment(allow_partial=True), partial, NOW)


def deployment(environment, status):
    return Deployment(
        id=uuid7(),
        environment=environment,
        repository="acme/shop",
        project="api",
        slug="shop-api",
        release_id=uuid7(),
        commit_sha="a" * 40,
        release_number=1,
        status=status,
        deployed_by="alice",
        created_at=NOW,
    )


@pytest.mark.parametrize("content", [{"requires_approval": True}, {"approvals": {"count": 2}}])
def test_an_environment_that_asks_for_approvals_is_refused_until_they_can_be_given(content):
    with pytest.raises(PlatformError, match="no way to give one yet") as caught:
        policy.require("production", environment(**content), release(TAG), NOW)
    assert caught.value.context["policy"] == "requires_approval"


@pytest.mark.parametrize("status", ["active", "superseded"])
def test_a_release_that_was_active_in_the_environment_before_may_be_promoted(status):
    found = release(TAG, deployments=(deployment("dev", status),))
    assert refused_by(environment(after=["dev"]), found) is None


@pytest.mark.parametrize("before", [(), (("dev", "failed"),), (("dev", "pending"),), (("staging", "active"),)])
def test_a_release_that_was_not_active_in_the_environment_before_is_refused(before):
    found = release(TAG, deployments=[deployment(*entry) for entry in before])
    with pytest.raises(PlatformError, match="it requires that the release was active in dev before") as caught:
        policy.require("production", environment(after=["dev"]), found, NOW)
    assert caught.value.context["policy"] == "after"


def test_a_freeze_refuses_with_its_end_and_reason():
    frozen = EnvironmentPolicy.model_validate(
        {"freeze": [{"start": NOW, "end": NOW + timedelta(days=1), "reason": "stock taking"}]}
    )
    with pytest.raises(PlatformError, match=r"until 2026-11-26 12:00 UTC \(stock taking\)"):
        policy.require("production", frozen, release(TAG), NOW)
    policy.require("production", frozen, release(TAG), NOW + timedelta(days=1))
