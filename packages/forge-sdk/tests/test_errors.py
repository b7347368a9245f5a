import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_sdk.errors import (
    MAX_CHAIN,
    AlreadyExists,
    AuthenticationError,
    ConfigurationError,
    ErrorCode,
    PlatformError,
    TransientError,
    as_platform_error,
    chain,
)
from forge_sdk.models.error import ErrorDetail


def raised() -> PlatformError:
    try:
        try:
            raise OSError("disk full")
        except OSError as error:
            raise TransientError("log can't be stored", component="storage", context={"key": "a/b"}) from error
    except TransientError as error:
        return PlatformError("step unit failed", code=ErrorCode.STEP_FAILED, component="worker").wrap(error)


def test_chain_crosses_processes_as_json():
    there = PlatformError.from_detail(ErrorDetail.model_validate_json(raised().to_detail().model_dump_json()))
    assert [(detail.code, detail.message, detail.component) for detail in chain(there.to_detail())] == [
        ("step_failed", "step unit failed", "worker"),
        ("unavailable", "log can't be stored", "storage"),
        ("internal_error", "OSError: disk full", ""),
    ]
    assert there.__cause__.transient
    assert there.__cause__.context == {"key": "a/b"}


def test_error_of_a_newer_version_is_still_read():
    detail = ErrorDetail.model_validate({"code": "from_the_future", "message": "x", "unknown": 1})
    assert PlatformError.from_detail(detail).code is ErrorCode.INTERNAL_ERROR


def test_endless_chain_is_cut():
    error = PlatformError("0")
    for number in range(100):
        error = PlatformError(str(number)).wrap(error)
    assert len(chain(error.to_detail())) == MAX_CHAIN + 1


@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [
        (TransientError("x"), "unavailable", True),
        (AuthenticationError("x"), "permission_denied", False),
        (ConfigurationError("x"), "configuration_invalid", False),
        (AlreadyExists("x", existing_digest="a", digest="b"), "already_exists", False),
    ],
)
def test_kinds_say_whether_trying_again_helps(error, code, transient):
    assert (error.code, error.transient) == (code, transient)


def test_foreign_errors_are_wrapped_and_ours_are_not():
    ours = ConfigurationError("x")
    assert as_platform_error(ours, component="plugin") is ours
    wrapped = as_platform_error(ValueError("bad"), component="plugin pypi", code=ErrorCode.PLUGIN_FAILED)
    assert (wrapped.message, wrapped.component, wrapped.code) == ("ValueError: bad", "plugin pypi", "plugin_failed")


def test_of_a_group_the_first_error_counts():
    ours = ConfigurationError("x")
    group = ExceptionGroup("tasks", [ExceptionGroup("more", [ours]), ValueError("bad")])
    assert as_platform_error(group, component="engine") is ours


@given(st.lists(st.text(min_size=1), min_size=1, max_size=10))
def test_messages_survive_in_order(messages):
    error = PlatformError(messages[0])
    for message in messages[1:]:
        error = PlatformError(message).wrap(error)
    back = PlatformError.from_detail(error.to_detail())
    assert [detail.message for detail in chain(back.to_detail())] == messages[::-1]
