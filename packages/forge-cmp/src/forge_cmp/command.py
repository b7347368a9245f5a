"""The command `forge-cmp`: `discover` and `generate`, run in an application's directory."""

import gc
import os
import sys

from . import __version__
from .errors import CmpError
from .inputs import read_environment_file, read_pointer_file
from .settings import DEFAULT_CACHE_BYTES, Settings

USAGE = "usage: forge-cmp discover|generate   (in the directory that holds release.yaml)\n"
OBJECTS_UNTIL_COLLECTION = 50_000
FAILURE = 1
USAGE_ERROR = 2


def run() -> None:
    """Run the command and end the process at once: to take the interpreter down takes a tenth of a run."""
    status = main()
    sys.stderr.flush()
    os._exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 with an error on standard error, 2 for wrong usage."""
    # Imports make many objects and no garbage; looking for it takes a tenth of a run.
    gc.set_threshold(OBJECTS_UNTIL_COLLECTION)
    given = sys.argv[1:] if arguments is None else arguments
    commands = {"discover": discover, "generate": generate}
    if len(given) != 1 or given[0] not in {*commands, "--version"}:
        sys.stderr.write(USAGE)
        return USAGE_ERROR
    try:
        _write(f"{__version__}\n".encode() if given[0] == "--version" else commands[given[0]]())
    except CmpError as error:
        sys.stderr.write(error.lines())
        return FAILURE
    return 0


def discover() -> bytes:
    """One line where this directory holds a valid pointer; raises `CmpError` where it doesn't."""
    content = read_pointer_file()
    from .cache import Cache
    from .generation import described

    return described(Cache(os.environ.get("FORGE_CACHE_DIR") or None, DEFAULT_CACHE_BYTES), content)


def generate() -> bytes:
    """The YAML stream of the release that the pointer names, and of the adjacent `env.yml`; raises `CmpError`."""
    from .cache import Cache
    from .generation import read_files, resources

    pointer_file, environment_file = read_pointer_file(), read_environment_file()
    settings = Settings(os.environ)
    cache = Cache(settings.cache_directory, settings.cache_bytes)
    pointer, environment = read_files(cache, pointer_file, environment_file)
    return resources(cache, settings, pointer) + environment


def _write(output: bytes) -> None:
    try:
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise CmpError("output_failed", f"can't be written: {error.strerror}", file="standard output") from error
