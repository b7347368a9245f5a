"""Whether an environment takes a release: pure functions."""

from fnmatch import fnmatchcase

from pydantic import JsonValue

from forge_api.deployments.environments import EnvironmentPolicy
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import Release
from forge_sdk.models.discovery import MatchedTrigger
from forge_sdk.models.statuses import ReleaseStatus, ReleaseTriggerType

COMPONENT = "deployments"


def require(name: str, environment: EnvironmentPolicy, release: Release) -> None:
    """Returns where the environment takes the release.

    Raises `PlatformError` (`deployment_refused`) with the policy, what it requires and what the release has; also for an
    environment that asks for what this version can't check, since deploying there would ignore the policy.
    """
    _require_enforceable(name, environment)
    policy = environment.promotion_policy
    if release.status is ReleaseStatus.PARTIAL and not policy.allow_partial:
        raise _refused(name, "allow_partial", "a complete release", "a partial release")
    triggers = [found for found in release.triggers if found.trigger_type in policy.allowed_triggers]
    if not triggers:
        wanted = [found.value for found in policy.allowed_triggers]
        raise _refused(name, "allowed_triggers", _any_of(wanted), _any_of(_shown(release.triggers)))
    if policy.allowed_branches is not None and not any(_branch_allowed(t, policy.allowed_branches) for t in triggers):
        raise _refused(name, "allowed_branches", _any_of(policy.allowed_branches), _any_of(_branches(triggers)))


def _require_enforceable(name: str, environment: EnvironmentPolicy) -> None:
    policy = environment.promotion_policy
    asked = {
        "requires_approval": policy.requires_approval,
        "approvals": policy.approvals is not None,
        "after": bool(policy.after),
        "freeze": bool(environment.freeze),
    }
    names = [key for key, is_set in asked.items() if is_set]
    if names:
        raise _refused(
            name, names[0], f"{', '.join(names)}, which this version can't check yet", "nothing that proves it"
        )


def _branch_allowed(trigger: MatchedTrigger, patterns: tuple[str, ...]) -> bool:
    if trigger.branch is None:
        # A tag belongs to no branch; any other trigger without one can't show that it is allowed.
        return trigger.trigger_type is ReleaseTriggerType.TAG
    return any(fnmatchcase(trigger.branch, pattern) for pattern in patterns)


def _refused(name: str, policy: str, requires: str, has: str) -> PlatformError:
    context: dict[str, JsonValue] = {"environment": name, "policy": policy, "requires": requires, "has": has}
    return PlatformError(
        f"environment {name} refuses the release by its policy {policy}: it requires {requires}, the release has {has}",
        code=ErrorCode.DEPLOYMENT_REFUSED,
        component=COMPONENT,
        context=context,
    )


def _shown(triggers: tuple[MatchedTrigger, ...]) -> list[str]:
    return sorted({trigger.trigger_type.value for trigger in triggers})


def _branches(triggers: list[MatchedTrigger]) -> list[str]:
    return sorted({trigger.branch for trigger in triggers if trigger.branch is not None})


def _any_of(names: tuple[str, ...] | list[str]) -> str:
    return " or ".join(names) or "none"
