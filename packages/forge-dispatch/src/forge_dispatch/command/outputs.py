"""The files that a workflow engine reads after the command."""

import os
import re
from pathlib import Path

from forge_sdk.errors import PlatformError
from forge_sdk.models.stages import StageJobs

STATE = "state"
_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")


def write_outputs(directory: Path, end: StageJobs) -> None:
    """One file for each output, and `state`; each appears at once and whole. `PlatformError` where that is impossible."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, value in {**end.outputs, STATE: end.state.value}.items():
            if not _NAME.match(name):
                raise PlatformError(f"the API gave an output with the name {name!r}", component="dispatch")
            unfinished = directory / f".{name}.{os.getpid()}"
            unfinished.write_text(value)
            unfinished.replace(directory / name)
    except OSError as error:
        raise PlatformError(
            f"outputs can't be written to {directory}: {error.strerror}; set OUTPUTS_DIRECTORY", component="dispatch"
        ) from error
