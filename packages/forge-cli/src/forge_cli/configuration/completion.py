"""Names of projects for the shell's completion."""

import asyncio
import re
from pathlib import Path

from click.shell_completion import CompletionItem

from forge_cli.configuration.snapshot import read_snapshot
from forge_sdk.errors import PlatformError

_NAME = re.compile(rb'^name:\s*"([A-Za-z0-9-]{1,63})"', re.MULTILINE)


def complete_projects(path: Path, incomplete: str) -> list[CompletionItem]:
    """The projects of the repository around `path` whose names begin with `incomplete`.

    Names are looked up in the text of the configuration, which is fast and also works while it has mistakes.
    """
    try:
        contents = asyncio.run(read_snapshot(path)).contents
    except PlatformError:
        return []  # a completion has no place for an error
    found = {
        match[1].decode(): file.removesuffix("/.forge/project.cue").removesuffix(".forge/project.cue") or "."
        for file, text in sorted(contents.items())
        if file.endswith(".forge/project.cue") and (match := _NAME.search(text))
    }
    return [CompletionItem(name, help=folder) for name, folder in sorted(found.items()) if name.startswith(incomplete)]
