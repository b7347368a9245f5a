import pytest

from forge_project.discovery.triggers import matched_triggers
from forge_sdk.models.jobs import GitContext

BRANCH = {"on": [{"branch": "main|release/.*"}]}
TAG = {"on": [{"tag": True}]}


@pytest.mark.parametrize(
    ("release", "context", "strategy", "expected"),
    [
        (BRANCH, {"event": "push", "branch": "main"}, "monorepo", ["branch_push"]),
        (BRANCH, {"event": "push", "branch": "release/1"}, "monorepo", ["branch_push"]),
        (BRANCH, {"event": "push", "branch": "main2"}, "monorepo", []),
        (BRANCH, {"event": "push", "branch": "not-main"}, "monorepo", []),
        (BRANCH, {"event": "push", "branch": "main\n"}, "monorepo", []),
        (BRANCH, {"event": "pull_request", "branch": "main"}, "monorepo", []),
        (BRANCH, {"event": "manual", "branch": "main"}, "monorepo", ["manual"]),
        ({**BRANCH, "enabled": False}, {"event": "push", "branch": "main"}, "monorepo", []),
        (None, {"event": "push", "branch": "main"}, "monorepo", []),
        (TAG, {"event": "tag", "tag": "shop/v1.0.0"}, "monorepo", ["tag"]),
        (TAG, {"event": "tag", "tag": "other/v1.0.0"}, "monorepo", []),
        (TAG, {"event": "tag", "tag": "v1.0.0"}, "monorepo", []),
        (TAG, {"event": "tag", "tag": "v1.0.0"}, "tag-all", ["tag"]),
        (TAG, {"event": "tag", "tag": "shop/v1.0.0"}, "tag-all", []),
        (TAG, {"event": "push", "branch": "main"}, "tag-all", []),
        (BRANCH, {"event": "tag", "tag": "v1.0.0"}, "tag-all", []),
        ({**TAG, "enabled": False}, {"event": "tag", "tag": "v1"}, "tag-all", []),
    ],
)
def test_triggers(release, context, strategy, expected):
    found = matched_triggers("shop", release, GitContext(**context), strategy)
    assert [one.trigger_type for one in found] == expected
