from datetime import UTC, datetime

import pytest

from forge_api.deployments import policy
from forge_api.deployments.environments import EnvironmentPolicy
from forge_sdk.errors import PlatformError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import Release

PUSH = {"trigger_type": "branch_push", "branch": "main"}
TAG = {"trigger_type": "tag", "tag": "v1"}
MANUAL = {"trigger_type": "manual"}


def release(*triggers, status="complete"):
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
    )


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
    policy.require("dev", environment(**promotion), release(*triggers))


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
        policy.require("dev", environment(**promotion), release(*triggers))
    found = caught.value.context
    assert (found["policy"], found["requires"], found["has"]) == context


def test_a_partial_release_is_refused_unless_allowed():
    partial = release(PUSH, status="partial")
    with pytest.raises(PlatformError, match="allow_partial"):
        policy.require("dev", environment(), partial)
    policy.require("dev", environment(allow_partial=True), partial)


@pytest.mark.parametrize(
    "content",
    [
        {"promotion_policy": {"requires_approval": True}},
        {"promotion_policy": {"approvals": {"count": 2}}},
        {"promotion_policy": {"after": ["dev"]}},
        {"freeze": [{"start": "2026-12-24T00:00:00Z", "end": "2026-12-27T00:00:00Z"}]},
    ],
)
def test_what_can_not_be_checked_yet_is_refused_and_not_ignored(content):
    with pytest.raises(PlatformError, match="can't check yet"):
        policy.require("production", EnvironmentPolicy.model_validate(content), release(TAG))
