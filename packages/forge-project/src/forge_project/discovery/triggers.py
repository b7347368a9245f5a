"""Which release triggers of a project the Git context satisfies."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import re2

from forge_sdk.models.discovery import MatchedTrigger
from forge_sdk.models.jobs import GitContext
from forge_sdk.models.statuses import ReleaseTriggerType, TriggerType

Strategy = Literal["monorepo", "tag-all"]
MAX_PATTERN_LENGTH = 1000
_MAX_MEMORY = 8 * 1024 * 1024


class PatternError(ValueError):
    """A text that is no regular expression of RE2."""


@lru_cache(maxsize=1024)
def branch_pattern(text: str) -> Any:
    """The compiled regular expression; `PatternError` where RE2 does not accept it."""
    if len(text) > MAX_PATTERN_LENGTH:
        raise PatternError(f"a regular expression of more than {MAX_PATTERN_LENGTH} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"no regular expression of RE2: {shown}") from error


def matched_triggers(project: str, release: Any, git: GitContext, strategy: Strategy) -> tuple[MatchedTrigger, ...]:
    """The triggers of `release` (the field of a project's configuration without errors) that `git` satisfies.

    None for pull requests, and where `release.enabled` is false.
    """
    if not isinstance(release, dict) or not release.get("enabled", True) or git.event is TriggerType.PULL_REQUEST:
        return ()
    found = []
    if git.event is not TriggerType.TAG and git.branch and _branch_matches(release["on"], git.branch):
        found.append(MatchedTrigger(trigger_type=_type(git, ReleaseTriggerType.BRANCH_PUSH), branch=git.branch))
    if git.event is not TriggerType.PUSH and git.tag and _tag_matches(project, release["on"], git.tag, strategy):
        found.append(MatchedTrigger(trigger_type=_type(git, ReleaseTriggerType.TAG), tag=git.tag))
    return tuple(found)


def _type(git: GitContext, otherwise: ReleaseTriggerType) -> ReleaseTriggerType:
    return ReleaseTriggerType.MANUAL if git.event is TriggerType.MANUAL else otherwise


def _branch_matches(triggers: Sequence[dict[str, Any]], branch: str) -> bool:
    patterns = (trigger["branch"] for trigger in triggers if "branch" in trigger)
    return any(branch_pattern(pattern).fullmatch(branch) is not None for pattern in patterns)


def _tag_matches(project: str, triggers: Sequence[dict[str, Any]], tag: str, strategy: Strategy) -> bool:
    prefix = f"{project}/v" if strategy == "monorepo" else "v"
    return tag.startswith(prefix) and any(trigger.get("tag") is True for trigger in triggers)
