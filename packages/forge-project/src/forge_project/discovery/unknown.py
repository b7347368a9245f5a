"""Values that name a plugin which is not installed.

CUE has no error of its own for these: the schema then has no fields for the struct, and every field in it seems to be forbidden.
"""

from collections.abc import Iterable, Iterator, Mapping

from forge_cue import CueError
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.plugins.manager import Plugins

from forge_project.discovery.evaluated import Evaluated
from forge_project.paths import Part, PathError, split
from forge_project.problems import alternatives

Path = tuple[Part, ...]
_CONSEQUENCES = frozenset({"not_allowed", "reference", "incomplete"})


def unknown_plugins(evaluated: Evaluated, plugins: Plugins) -> dict[Path, Diagnostic]:
    """The problem of each struct whose `action`, `type` or `provider` is not installed, by the struct's path."""
    found: dict[Path, Diagnostic] = {}
    for path, field, kind, installed in _choices(evaluated, plugins):
        name = evaluated.at(*path, field)
        if isinstance(name, str) and name not in installed:
            hint = alternatives(name, installed, "installed")
            message = f"{kind} {name!r} is not installed"
            found[path] = evaluated.problem((*path, field), message, kind="unknown", hint=hint)
    return found


def without_consequences(errors: Iterable[CueError], unknown: Mapping[Path, Diagnostic]) -> list[CueError]:
    """The errors that would remain if the plugins were installed."""
    return [error for error in errors if error.kind not in _CONSEQUENCES or not _is_below(error, unknown)]


def _choices(evaluated: Evaluated, plugins: Plugins) -> Iterator[tuple[Path, str, str, Iterable[str]]]:
    for publisher in evaluated.names("publishers"):
        path: Path = ("publishers", publisher)
        yield path, "type", "publisher type", plugins.publishers
        yield (*path, "credentials"), "provider", "secret provider", plugins.secret_resolvers
    for phase in evaluated.names("ci", "phases"):
        for step in evaluated.names("ci", "phases", phase):
            path = ("ci", "phases", phase, step)
            yield path, "action", "action", plugins.step_actions
            secrets = evaluated.at(*path, "secrets")
            for index in range(len(secrets) if isinstance(secrets, list) else 0):
                yield (*path, "secrets", index), "provider", "secret provider", plugins.secret_resolvers


def _is_below(error: CueError, unknown: Mapping[Path, Diagnostic]) -> bool:
    try:
        parts = split(error.path)
    except PathError:
        return False
    return any(parts[:length] in unknown for length in range(1, len(parts) + 1))
