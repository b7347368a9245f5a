"""The two files of an application's directory: `release.yaml` and, where there is one, `env.yml` beside it."""

import errno
import os
import stat

from .errors import CmpError

POINTER_FILE = "release.yaml"
ENVIRONMENT_FILE = "env.yml"
MAX_POINTER_BYTES = 64 * 1024
MAX_ENVIRONMENT_BYTES = 1024 * 1024


def read_pointer_file() -> bytes:
    """The content of `release.yaml`; raises `CmpError` (`pointer_missing`, `pointer_invalid`)."""
    content = _read(POINTER_FILE, MAX_POINTER_BYTES, "pointer_invalid")
    if content is None:
        raise CmpError("pointer_missing", "this directory holds no release.yaml: it is not an application of ours")
    return content


def read_environment_file() -> bytes:
    """The content of `env.yml`, empty where there is none; raises `CmpError` (`environment_invalid`)."""
    return _read(ENVIRONMENT_FILE, MAX_ENVIRONMENT_BYTES, "environment_invalid") or b""


def _read(name: str, limit: int, code: str) -> bytes | None:
    try:
        # The repository's author chooses what these names are: a link would read the sidecar's own files.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        text = "is a link: commit the file itself" if error.errno == errno.ELOOP else f"can't be read: {error.strerror}"
        raise CmpError(code, text, file=name) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CmpError(code, "is not a regular file", file=name)
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise CmpError(code, f"is larger than the {limit} bytes that are accepted", file=name)
    return content
