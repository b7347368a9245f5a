import pytest

from forge_cli.errors import UnreachableError, lines, report
from forge_cli.exits import Exit
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError, TransientError


def test_chain_is_shown_from_the_outside_in():
    step = PlatformError("step unit ended with exit code 1", code=ErrorCode.STEP_FAILED, component="worker")
    run = PlatformError("task test of api failed", code=ErrorCode.TASK_FAILED).wrap(step)
    assert lines(run.to_detail()) == [
        "error: task test of api failed",
        "  because worker: step unit ended with exit code 1",
    ]


@pytest.mark.parametrize(("code", "shown"), [(ErrorCode.INTERNAL_ERROR, True), (ErrorCode.NOT_FOUND, False)])
def test_a_fault_inside_the_platform_is_shown_with_its_trace(code, shown):
    error = PlatformError("the platform failed to answer", code=code)
    error.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert ("(trace id 4bf92f3577b34da6a3ce929d0e0e4736)" in lines(error.to_detail())[0]) is shown


def test_every_problem_of_a_configuration_is_shown_with_its_place():
    problem = {
        "message": "field not allowed",
        "file": "a/.forge/project.cue",
        "line": 3,
        "column": 7,
        "hint": "did you mean name",
    }
    shown = lines(
        ConfigurationError("2 problems", context={"diagnostics": [problem, {**problem, "line": 4}]}).to_detail()
    )
    assert shown[1:] == [
        "    a/.forge/project.cue:3:7: field not allowed (did you mean name)",
        "    a/.forge/project.cue:4:7: field not allowed (did you mean name)",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), Exit.USAGE),
        (UnreachableError("x"), Exit.UNREACHABLE),
        (TransientError("x"), Exit.UNREACHABLE),
        (TransientError("x", code=ErrorCode.RATE_LIMITED), Exit.FAILED),
        (TransientError("x", code=ErrorCode.INTERNAL_ERROR), Exit.FAILED),
        (PlatformError("x"), Exit.FAILED),
    ],
)
def test_exit_code_tells_the_kind(error, code, capsys):
    assert report(error) is code
    assert capsys.readouterr().err == "error: x\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "the operating system refused: No space left on device"),
        (OSError(13, "Permission denied", "/a/b"), "the operating system refused for /a/b: Permission denied"),
        (OSError("no address"), "the operating system refused: no address"),
    ],
)
def test_what_the_system_refuses_is_one_line(error, message, capsys):
    assert report(error) is Exit.FAILED
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize("error", [ZeroDivisionError(), TimeoutError()])
def test_a_bug_is_not_hidden(error):
    with pytest.raises(type(error)):
        report(error)
