"""What a source of configuration gives, and the limits that hold for all of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from forge_sdk.errors import ConfigurationError

CONFIGURATION_FOLDER = ".forge"
COMPONENT = "project"


class SourceTree(Protocol):
    """The configuration files of one state of a repository."""

    async def files(self) -> Mapping[str, bytes]:
        """Files of every `.forge` folder, by path from the repository's root with `/` between the names.

        Given are the regular files that end in `.cue` directly in a `.forge` folder and its `cue.mod/module.cue`. Of a `.forge`
        inside a `.forge` every file is named, without content, so that it can be reported. Symbolic links and
        submodules are passed over. Raises `ConfigurationError` where a limit is exceeded or a path can't be used, `PlatformError`
        with code `git_failed` where Git fails.
        """


@dataclass(frozen=True)
class SourceLimits:
    """Bounds on what is read from a repository that nobody has vouched for; sizes in bytes."""

    directories: int = 500_000
    tree_bytes: int = 64 * 1024 * 1024
    file_bytes: int = 1024 * 1024
    total_bytes: int = 64 * 1024 * 1024
    files: int = 20_000


@dataclass
class CollectedFiles:
    """The files read so far; refuses what exceeds the limits."""

    limits: SourceLimits
    contents: dict[str, bytes] = field(default_factory=dict)
    total: int = 0

    def add(self, path: str, content: bytes) -> None:
        """Keeps a file; `ConfigurationError` where it is one too many, or all together are too large."""
        self.contents[path] = content
        self.total += len(content)
        if self.total > self.limits.total_bytes:
            raise ConfigurationError(
                f"the .forge files of the repository have more than {self.limits.total_bytes} bytes: make them smaller",
                component=COMPONENT,
            )
        if len(self.contents) > self.limits.files:
            raise ConfigurationError(
                f"the repository has more than {self.limits.files} files in .forge folders: remove some",
                component=COMPONENT,
            )


def too_large(path: str, limits: SourceLimits) -> ConfigurationError:
    """The error for a file that is larger than what is read."""
    return ConfigurationError(
        f"{path} has more than {limits.file_bytes} bytes, which is the most that is read: make it smaller",
        component=COMPONENT,
    )


def checked_path(raw: bytes) -> str:
    """`raw` as text; `ConfigurationError` where it isn't UTF-8 or holds control characters."""
    try:
        path = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"the path {raw!r} is not UTF-8: rename the folder above .forge", component=COMPONENT
        ) from error
    if not path.isprintable():
        raise ConfigurationError(
            f"the path {path!r} holds control characters: rename the folder above .forge", component=COMPONENT
        )
    return path


_READ = re.compile(r"(?:[^/]*\.cue|cue\.mod/module\.cue)")


def is_read(inside: str) -> bool:
    """Whether a file at this path inside a `.forge` folder is configuration."""
    return _READ.fullmatch(inside) is not None
