"""The one error model of the platform.

An error is a code, a sentence that tells the user what to do next, and the chain of errors that led to it. The chain
crosses processes as `ErrorDetail` (JSON) and comes back as `PlatformError` with its causes in place.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from pydantic import JsonValue

from forge_sdk.models.error import ErrorDetail

MAX_CHAIN = 16
"""Causes kept below an error; what is deeper is dropped, so that a message stays bounded."""


class ErrorCode(StrEnum):
    """Every code that an error of the platform may carry."""

    AUTHENTICATION_REQUIRED = "authentication_required"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    VALIDATION_ERROR = "validation_error"
    RATE_LIMITED = "rate_limited"
    INTERNAL_ERROR = "internal_error"
    UNAVAILABLE = "unavailable"
    STALE_TOKEN = "stale_token"  # noqa: S105 - a code, not a secret
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    CONFIGURATION_INVALID = "configuration_invalid"
    CUE_LIMIT_EXCEEDED = "cue_limit_exceeded"
    VERSION_UNSUPPORTED = "version_unsupported"
    PLUGIN_INVALID = "plugin_invalid"
    PLUGIN_MISSING = "plugin_missing"
    PLUGIN_FAILED = "plugin_failed"
    SECRET_UNRESOLVED = "secret_unresolved"  # noqa: S105 - a code, not a secret
    STEP_FAILED = "step_failed"
    TASK_FAILED = "task_failed"
    RUN_FAILED = "run_failed"
    WORKER_LOST = "worker_lost"
    GIT_FAILED = "git_failed"
    BUILD_FAILED = "build_failed"
    OUTPUT_INVALID = "output_invalid"
    PUBLISH_FAILED = "publish_failed"
    ALREADY_EXISTS = "already_exists"
    SIGNING_FAILED = "signing_failed"
    SIGNATURE_INVALID = "signature_invalid"
    REGISTRY_FAILED = "registry_failed"
    STORAGE_FAILED = "storage_failed"
    RENDERING_FAILED = "rendering_failed"
    RELEASE_FAILED = "release_failed"
    DEPLOYMENT_FAILED = "deployment_failed"
    DEPLOYMENT_REFUSED = "deployment_refused"

    @classmethod
    def of(cls, text: str) -> "ErrorCode":
        """The code of that name; `internal_error` where a newer process knows more codes than this one."""
        return cls(text) if text in cls._value2member_map_ else cls.INTERNAL_ERROR


class PlatformError(Exception):
    """An error that a user can act on.

    `code` says what kind it is, `message` what happened and what to do next, `component` where it arose, `context`
    holds facts (identifiers, paths, digests; never secrets). `cause` is the error below it, given or taken from
    `raise ... from`. `transient` says whether trying again may help.
    """

    transient = False
    default_code = ErrorCode.INTERNAL_ERROR

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | str | None = None,
        component: str = "",
        context: Mapping[str, JsonValue] | None = None,
        cause: BaseException | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = ErrorCode(code) if code is not None else self.default_code
        self.message = message
        self.component = component
        self.context = dict(context or {})
        self.timestamp = datetime.now(UTC)
        self.trace_id: str | None = None
        self.retry_after = retry_after
        if cause is not None:
            self.__cause__ = cause

    def to_detail(self) -> ErrorDetail:
        """The error with its chain, as it travels between processes."""
        return _detail(self, MAX_CHAIN)

    @classmethod
    def from_detail(cls, detail: ErrorDetail) -> "PlatformError":
        """The error that `to_detail` described, with its chain; an unknown code becomes `internal_error`."""
        kind = TransientError if detail.transient else PlatformError
        code = ErrorCode.of(detail.code)
        error = kind(detail.message, code=code, component=detail.component, context=detail.context)
        error.timestamp, error.trace_id = detail.timestamp, detail.trace_id
        if detail.cause is not None:
            error.__cause__ = cls.from_detail(detail.cause)
        return error

    def wrap(self, cause: BaseException) -> Self:
        """This error with `cause` below it."""
        self.__cause__ = cause
        return self


class TransientError(PlatformError):
    """Trying again later may succeed: time-outs, refused connections, answers 5xx and 429."""

    transient = True
    default_code = ErrorCode.UNAVAILABLE


class AuthenticationError(PlatformError):
    """Credentials are missing, wrong or insufficient; the message names the reference that was used, never the value."""

    default_code = ErrorCode.PERMISSION_DENIED


class ConfigurationError(PlatformError):
    """What somebody wrote can't be right; the message says where and how to correct it."""

    default_code = ErrorCode.CONFIGURATION_INVALID


class AlreadyExists(PlatformError):  # noqa: N818 - the name is part of the plugin contract
    """The immutable name is taken.

    `existing_digest` and `digest` are both in the context; where they are equal the publisher may report success.
    """

    default_code = ErrorCode.ALREADY_EXISTS

    def __init__(self, message: str, *, existing_digest: str, digest: str, component: str = "") -> None:
        super().__init__(message, component=component, context={"existing_digest": existing_digest, "digest": digest})
        self.existing_digest = existing_digest
        self.digest = digest


def as_platform_error(
    error: BaseException, *, component: str, code: ErrorCode = ErrorCode.INTERNAL_ERROR
) -> PlatformError:
    """`error` itself where it is a `PlatformError`, else one of `code` that has it as its cause; of a group the first."""
    if isinstance(error, BaseExceptionGroup):
        return as_platform_error(single(error), component=component, code=code)
    if isinstance(error, PlatformError):
        return error
    wrapped = PlatformError(_text(error), code=code, component=component)
    return wrapped.wrap(error)


def single(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a task group, for those who wait for the group as for one thing."""
    first = group.exceptions[0]
    return single(first) if isinstance(first, BaseExceptionGroup) else first


def chain(detail: ErrorDetail) -> list[ErrorDetail]:
    """The error and its causes, outermost first."""
    found = [detail]
    while found[-1].cause is not None:
        found.append(found[-1].cause)
    return found


def _detail(error: BaseException, depth: int) -> ErrorDetail:
    below = error.__cause__ if depth > 0 else None
    cause = _detail(below, depth - 1) if below is not None else None
    if isinstance(error, PlatformError):
        return ErrorDetail(
            code=error.code.value,
            message=error.message,
            component=error.component,
            context=error.context,
            timestamp=error.timestamp,
            trace_id=error.trace_id,
            transient=error.transient,
            cause=cause,
        )
    return ErrorDetail(code=ErrorCode.INTERNAL_ERROR.value, message=_text(error), cause=cause)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
