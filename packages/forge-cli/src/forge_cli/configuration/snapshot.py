"""A repository's configuration files, read once, so that what is shown is what was evaluated."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from forge_cli.repository import commit_of, git_directory
from forge_project import CommitTree, WorkingTree

REPOSITORY_FILE = ".forge/repo.cue"


@dataclass(frozen=True)
class Snapshot:
    """The `.forge` files of the repository at `root` by path: of its working tree, or of the commit `commit_sha`.

    It is a `SourceTree`.
    """

    root: Path
    contents: Mapping[str, bytes]
    commit_sha: str | None = None

    async def files(self) -> Mapping[str, bytes]:
        """See `SourceTree.files`."""
        return self.contents

    @property
    def configured(self) -> bool:
        """Whether there is a repository configuration at all."""
        return REPOSITORY_FILE in self.contents

    def only_repository(self) -> "Snapshot":
        """The same without the projects."""
        return replace(self, contents={path: text for path, text in self.contents.items() if path == REPOSITORY_FILE})

    def with_files(self, added: Mapping[str, str]) -> "Snapshot":
        """The same with files that are not written yet."""
        return replace(self, contents={**self.contents, **{path: text.encode() for path, text in added.items()}})


async def read_snapshot(path: Path, revision: str | None = None) -> Snapshot:
    """The configuration of the repository that contains `path`, as it is now or at `revision`.

    Raises `ConfigurationError` where there is no repository or no such commit, or where its files can't be read.
    """
    folder = path if await asyncio.to_thread(path.is_dir) else path.parent
    tree = WorkingTree(folder)
    root = await tree.root()
    if revision is None:
        return Snapshot(root, await tree.files())
    sha = await asyncio.to_thread(commit_of, root, revision)
    store = await asyncio.to_thread(git_directory, root)
    return Snapshot(root, await CommitTree(store, sha).files(), sha)
