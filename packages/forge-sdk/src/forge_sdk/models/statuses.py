"""Statuses and kinds that several models share."""

from enum import StrEnum


class TriggerType(StrEnum):
    """What started a run."""

    PUSH = "push"
    TAG = "tag"
    PULL_REQUEST = "pull_request"
    MANUAL = "manual"


class RunStatus(StrEnum):
    """Status of a run; `errored` when its own record can't be kept."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ERRORED = "errored"

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return self not in {RunStatus.PENDING, RunStatus.RUNNING}


class ExecutionStatus(StrEnum):
    """Status of a phase, a task or a step."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class ReleaseStatus(StrEnum):
    """`partial` while a publisher's work is unfinished."""

    COMPLETE = "complete"
    PARTIAL = "partial"


class AttemptState(StrEnum):
    """How far the making of a release has come."""

    PLANNED = "planned"
    BUILDING = "building"
    AWAITING_SIGNATURE = "awaiting_signature"
    SEALED = "sealed"
    PUBLISHING = "publishing"
    PACKING = "packing"
    FAILED = "failed"
    RECORDED = "recorded"


class PublicationState(StrEnum):
    """State of one row of the publish ledger."""

    PLANNED = "planned"
    PUBLISHED = "published"
    IDENTICAL = "identical"
    CONFLICT = "conflict"
    FAILED = "failed"
    GIVEN_UP = "given-up"

    @property
    def reached_target(self) -> bool:
        """Whether the target holds the file."""
        return self in {PublicationState.PUBLISHED, PublicationState.IDENTICAL}


class DeploymentStatus(StrEnum):
    """Status of a deployment of a release to an environment."""

    QUEUED = "queued"
    PENDING = "pending"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    REFUSED = "refused"


class DeploymentIntent(StrEnum):
    """Why a deployment may move a pointer to a commit that doesn't descend from the one before."""

    ROLLBACK = "rollback"
    DIVERGENT = "divergent"


class AliasType(StrEnum):
    """Kind of another name of a release."""

    NUMERIC = "numeric"
    TAG = "tag"
    BRANCH = "branch"
    CUSTOM = "custom"


class ReleaseTriggerType(StrEnum):
    """Why a release was made."""

    BRANCH_PUSH = "branch_push"
    TAG = "tag"
    MANUAL = "manual"


class ArtifactType(StrEnum):
    """What kind of build output an artifact is."""

    CONTAINER = "container"
    BINARY = "binary"
    ARCHIVE = "archive"
