"""What `discover` and `generate` keep between runs.

What the two files say (so that a warm run needs no YAML parser), and the verified, rendered
resources of a release under its digest, the project that it must be of, and the policy that it was verified under: a
key that is taken away takes its verdicts with it.
"""

from . import __version__
from .cache import Cache
from .settings import Settings

_VERSION = __version__.encode()
_FIELDS = 4


def described(cache: Cache, pointer_file: bytes) -> bytes:
    """One line that names the release of the pointer; raises `CmpError` where it is none."""
    key = (b"description", _VERSION, pointer_file)
    kept = cache.get(*key)
    if kept is not None:
        return kept
    from .pointer import parse_pointer

    line = f"{parse_pointer(pointer_file)}\n".encode()
    cache.put(line, *key)
    return line


def read_files(cache: Cache, pointer_file: bytes, environment_file: bytes) -> tuple[tuple[str, ...], bytes]:
    """The fields of the pointer (as in `Pointer`) and the stream of `env.yml`; raises `CmpError` where one is wrong."""
    key = (b"files", _VERSION, pointer_file, environment_file)
    kept = cache.get(*key)
    if kept is not None:
        *fields, environment = kept.split(b"\n", _FIELDS)
        return tuple(field.decode() for field in fields), environment
    from .pointer import parse_pointer
    from .rendering import render_environment

    pointer = parse_pointer(pointer_file)
    environment = render_environment(environment_file)
    cache.put(b"\n".join([*(field.encode() for field in pointer), environment]), *key)
    return tuple(pointer), environment


def resources(cache: Cache, settings: Settings, pointer: tuple[str, ...]) -> bytes:
    """The stream of the release's resources; raises `CmpError` at the first link that does not hold."""
    key = (b"release", _VERSION, *(field.encode() for field in pointer), *settings.policy)
    kept = cache.get(*key)
    if kept is not None:
        return kept
    from .pointer import Pointer
    from .release import fetch_resources

    rendered = fetch_resources(settings, Pointer(*pointer))
    cache.put(rendered, *key)
    return rendered
