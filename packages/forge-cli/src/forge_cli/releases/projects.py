"""Which project a command is about: `owner/repo/project`, or short inside a checkout."""

from dataclasses import dataclass
from pathlib import Path

from forge_cli.repository import Checkout, checkout
from forge_sdk.errors import ConfigurationError, PlatformError

PARTS = 3


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a repository; `checkout` is where the command runs, if that is a checkout of the repository."""

    repository: str
    name: str
    checkout: Checkout | None = None

    def __str__(self) -> str:
        return f"{self.repository}/{self.name}"


def find_project(text: str) -> Project:
    """The project that `text` names; raises `ConfigurationError` where a short name is used outside of a checkout."""
    parts = text.split("/")
    if len(parts) == PARTS and all(parts):
        repository = "/".join(parts[:2])
        found = _here()
        return Project(repository, parts[2], found if found and found.name == repository else None)
    if len(parts) != 1 or not text:
        raise ConfigurationError(f"{text!r} is no project: give owner/repo/project, or the project alone in a checkout")
    found = checkout(Path.cwd())
    return Project(found.name, text, found)


def _here() -> Checkout | None:
    try:
        return checkout(Path.cwd())
    except PlatformError:
        return None
