"""How errors are shown: the message first, then the chain of what led to it."""

import sys

import click

from forge_cli.exits import Exit
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError, TransientError, chain
from forge_sdk.models.error import ErrorDetail

_OF_FILES = (PermissionError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_INSIDE = {ErrorCode.INTERNAL_ERROR, ErrorCode.UNAVAILABLE}


class UnreachableError(TransientError):
    """No platform answers."""


def report(error: Exception) -> Exit:
    """Print `error` to standard error and say which exit code belongs to it; what is a fault of ours is raised again."""
    if type(error) is OSError or isinstance(error, _OF_FILES):
        error = _of_system(error)
    if not isinstance(error, PlatformError):
        raise error
    click.echo("\n".join(lines(error.to_detail())), err=True)
    if isinstance(error, ConfigurationError):
        return Exit.USAGE
    return Exit.UNREACHABLE if error.code is ErrorCode.UNAVAILABLE else Exit.FAILED


def _of_system(error: OSError) -> PlatformError:
    place = f" for {error.filename}" if error.filename else ""
    return PlatformError(f"the operating system refused{place}: {error.strerror or error}", component="cli")


def lines(detail: ErrorDetail) -> list[str]:
    """The chain for a person: one line for each error, the outermost first."""
    first, *causes = chain(detail)
    shown = [
        f"{click.style('error', fg='red', bold=True, reset=True) if sys.stderr.isatty() else 'error'}: {_message(first)}",
        *_diagnostics(first),
    ]
    for depth, cause in enumerate(causes):
        component = f"{cause.component}: " if cause.component else ""
        shown += [f"{'  ' * depth}  because {component}{_message(cause)}", *_diagnostics(cause)]
    return shown


def _message(detail: ErrorDetail) -> str:
    # A message that lists its diagnostics would say them twice.
    message = detail.message.partition("\n")[0] if detail.context.get("diagnostics") else detail.message
    # What is wrong inside the platform stands in its logs only.
    return f"{message} (trace id {detail.trace_id})" if detail.trace_id and detail.code in _INSIDE else message


def _diagnostics(detail: ErrorDetail) -> list[str]:
    found = detail.context.get("diagnostics")
    return [f"    {_diagnostic(item)}" for item in found] if isinstance(found, list) else []


def _diagnostic(item: object) -> str:
    from forge_sdk.models.discovery import Diagnostic

    return str(Diagnostic.model_validate(item))
