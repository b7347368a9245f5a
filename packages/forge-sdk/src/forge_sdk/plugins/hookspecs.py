"""Hook specifications (pluggy). A plugin distribution registers one module or object under the entry point group `catalyst_forge`.

Hooks declare, they do no work: each is called once at the start of a process and returns objects; the work is in the methods of those
objects (`forge_sdk.plugins.contracts`). Importing a plugin must not import its client library.

Example, `pyproject.toml` and module of a plugin::

    [project.entry-points.catalyst_forge]
    notes = "forge_publisher_notes"

    from forge_sdk.plugins import hookimpl

    @hookimpl
    def forge_publishers():
        return [NotesPublisher()]
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pluggy

from forge_sdk.plugins.contracts import Producer, Publisher, SecretResolver, StepAction

PROJECT_NAME = "catalyst_forge"
"""Name of the pluggy project and of the entry point group."""

Hook = TypeVar("Hook", bound=Callable[..., object])

_hookspec = pluggy.HookspecMarker(PROJECT_NAME)
_hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


def hookimpl(function: Hook) -> Hook:
    """Marks a function of a plugin as the implementation of the hook of the same name."""
    return _hookimpl(function)


@_hookspec
def forge_producers() -> Sequence[Producer]:
    """The producers of this distribution."""
    raise AssertionError("a specification is never called")


@_hookspec
def forge_publishers() -> Sequence[Publisher]:
    """The publishers of this distribution."""
    raise AssertionError("a specification is never called")


@_hookspec
def forge_secret_resolvers() -> Sequence[SecretResolver]:
    """The secret resolvers of this distribution."""
    raise AssertionError("a specification is never called")


@_hookspec
def forge_step_actions() -> Sequence[StepAction]:
    """The step actions of this distribution."""
    raise AssertionError("a specification is never called")
