"""Whether an environment takes a release: pure functions."""

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from pydantic import JsonValue

from forge_api.deployments.environments import EnvironmentPolicy
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import Deployment, Hold, Release
from forge_sdk.models.discovery import MatchedTrigger
from forge_sdk.models.statuses import DeploymentStatus, ReleaseStatus, ReleaseTriggerType

COMPONENT = "deployments"
WAS_ACTIVE = {DeploymentStatus.ACTIVE, DeploymentStatus.SUPERSEDED}


def require(name: str, environment: EnvironmentPolicy, release: Release, now: datetime) -> None:
    """Returns where the environment takes the release at `now`.

    Raises `PlatformError` (`deployment_refused`) with the policy, what it requires and what the release has; also for an
    environment that asks for approvals, which can't be given yet.
    """
    policy = environment.promotion_policy
    _require_no_freeze(name, environment, now)
    if policy.requires_approval or policy.approvals is not None:
        count = policy.approvals.count if policy.approvals else 1
        raise refused(name, "requires_approval", f"{count} approvals", "none, and there is no way to give one yet")
    if release.status is ReleaseStatus.PARTIAL and not policy.allow_partial:
        raise refused(name, "allow_partial", "a complete release", "a partial release")
    _require_trigger(name, policy.allowed_triggers, policy.allowed_branches, release.triggers)
    _require_order(name, policy.after, release.deployments)


def require_no_hold(hold: Hold | None) -> None:
    """Returns where nothing holds automatic deployments; else `deployment_refused`, which says who set the hold and why."""
    if hold is None:
        return
    has = f"the hold that {hold.set_by} set: {hold.reason}"
    raise refused(hold.environment, "hold", "no hold on automatic deployment", has)


def refused(name: str, policy: str, requires: str, has: str) -> PlatformError:
    """The error of an environment that does not take a release."""
    context: dict[str, JsonValue] = {"environment": name, "policy": policy, "requires": requires, "has": has}
    return PlatformError(
        f"environment {name} refuses the release by its policy {policy}: it requires {requires}, the release has {has}",
        code=ErrorCode.DEPLOYMENT_REFUSED,
        component=COMPONENT,
        context=context,
    )


def _require_no_freeze(name: str, environment: EnvironmentPolicy, now: datetime) -> None:
    for window in environment.freeze:
        until = window.until(now)
        if until is not None:
            reason = f" ({window.reason})" if window.reason else ""
            has = f"now, within the freeze until {until:%Y-%m-%d %H:%M} UTC{reason}"
            raise refused(name, "freeze", "a time outside its freezes", has)


def _require_trigger(
    name: str,
    allowed: Sequence[ReleaseTriggerType],
    branches: tuple[str, ...] | None,
    found: tuple[MatchedTrigger, ...],
) -> None:
    triggers = [trigger for trigger in found if trigger.trigger_type in allowed]
    if not triggers:
        wanted = [trigger_type.value for trigger_type in allowed]
        raise refused(name, "allowed_triggers", _any_of(wanted), _any_of(_shown(found)))
    if branches is not None and not any(_branch_allowed(trigger, branches) for trigger in triggers):
        raise refused(name, "allowed_branches", _any_of(branches), _any_of(_branches(triggers)))


def _require_order(name: str, after: Sequence[str], deployments: Sequence[Deployment]) -> None:
    seen = {deployment.environment for deployment in deployments if deployment.status in WAS_ACTIVE}
    missing = [environment for environment in after if environment not in seen]
    if missing:
        has = f"been active in {' and '.join(sorted(seen)) or 'no environment'}"
        raise refused(name, "after", f"that the release was active in {' and '.join(missing)} before", has)


def _branch_allowed(trigger: MatchedTrigger, patterns: tuple[str, ...]) -> bool:
    if trigger.branch is None:
        # A tag belongs to no branch; any other trigger without one can't show that it is allowed.
        return trigger.trigger_type is ReleaseTriggerType.TAG
    return any(fnmatchcase(trigger.branch, pattern) for pattern in patterns)


def _shown(triggers: tuple[MatchedTrigger, ...]) -> list[str]:
    return sorted({trigger.trigger_type.value for trigger in triggers})


def _branches(triggers: list[MatchedTrigger]) -> list[str]:
    return sorted({trigger.branch for trigger in triggers if trigger.branch is not None})


def _any_of(names: Sequence[str]) -> str:
    return " or ".join(names) or "none"
