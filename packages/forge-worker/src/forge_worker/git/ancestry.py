"""The commit graph decides what comes after what; clocks and numbers don't."""

import re
from pathlib import Path

from forge_sdk.errors import ConfigurationError
from forge_sdk.identifiers import SHA_PATTERN
from forge_worker.git.command import Git
from forge_worker.git.failures import COMPONENT

_SHA = re.compile(SHA_PATTERN)


async def is_descendant(git_directory: Path, commit: str, of: str) -> bool:
    """Whether `commit` is `of`, or has it in its history.

    The repository must hold the whole history of `commit`, as the cache does; a commit that is not there comes before
    nothing. Raises `ConfigurationError` for what is no full SHA, `PlatformError` (`git_failed`) where the graph can't be
    read.
    """
    for sha in (commit, of):
        if not _SHA.fullmatch(sha):
            raise ConfigurationError(f"{sha[:100]!r} is not the full SHA of a commit", component=COMPONENT)
    if commit == of:
        return True
    git = Git(git_directory)
    if not await git.succeeds("cat-file", "-e", f"{of}^{{commit}}"):
        return False
    # What is reachable from `of` and not from `commit`: nothing, where `commit` has it all in its history.
    return not (await git.run("rev-list", "--max-count=1", of, f"^{commit}", "--")).strip()
