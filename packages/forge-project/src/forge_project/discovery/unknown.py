"""Structs whose `action`, `type` or `provider` is missing, or names a plugin which is not installed.

CUE has no error of its own for these: the schema then has no fields for the struct.
"""

from collections.abc import Iterable, Iterator

from forge_project.discovery.consequences import Path
from forge_project.discovery.evaluated import Evaluated
from forge_project.problems import alternatives
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.plugins.manager import Plugins


def unknown_plugins(evaluated: Evaluated, plugins: Plugins) -> dict[Path, Diagnostic]:
    """The problem of each struct of an unknown kind, by the struct's path."""
    found: dict[Path, Diagnostic] = {}
    for path, field, kind, installed in _choices(evaluated, plugins):
        struct = evaluated.at(*path)
        if not isinstance(struct, dict):
            continue
        name = struct.get(field)
        if isinstance(name, str) and name not in installed:
            hint = alternatives(name, installed, "installed")
            message = f"{kind} {name!r} is not installed"
            found[path] = evaluated.problem((*path, field), message, kind="unknown", hint=hint)
        elif name is None and not _is_written(evaluated, (*path, field)):
            hint = alternatives("", installed, "installed")
            message = "field is required but not present"
            found[path] = evaluated.problem((*path, field), message, kind="required", hint=hint)
    return found


def _is_written(evaluated: Evaluated, path: Path) -> bool:
    return evaluated.position(*path) != evaluated.position(*path[:-1])


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
