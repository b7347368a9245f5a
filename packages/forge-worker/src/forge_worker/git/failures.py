"""What git's words mean for us."""

import re

from forge_sdk.errors import AuthenticationError, ErrorCode, PlatformError, TransientError

COMPONENT = "git"
MAX_TEXT = 2000
_REFUSED = re.compile(
    r"Authentication failed|could not read (Username|Password)|Permission denied \(|terminal prompts disabled"
    r"|returned error: 40[13]|Host key verification failed|access denied",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"Could not resolve host|Connection (refused|reset|timed out|closed)|early EOF|returned error: (5\d\d|429)|hung up"
    r"|unexpected disconnect|timed out|Network is unreachable|Failed to connect|RPC failed",
    re.IGNORECASE,
)
_CORRUPT = re.compile(
    r"not a git repository|is corrupt|corrupt (loose object|patch|object)|object file .* is empty|inflate:"
    r"|unable to (unpack|read tree)|missing (blob|tree|commit)|bad (tree|object|pack)|invalid object"
    r"|packfile .* (cannot be accessed|does not match|index)|bad object header|failed to read object"
    r"|error in object|hash mismatch|index file .* (corrupt|bad)|could not parse",
    re.IGNORECASE,
)


def git_failure(command: str, exit_code: int, text: str) -> PlatformError:
    """The error for `git <command>` that ended with `exit_code` and said `text` (masked already)."""
    words = text.strip()[-MAX_TEXT:] or f"exit code {exit_code}"
    message = f"git {command} failed: {words}"
    if _REFUSED.search(words):
        return AuthenticationError(
            f"{message}; check the repository's git_credentials", code=ErrorCode.PERMISSION_DENIED, component=COMPONENT
        )
    kind = TransientError if _PASSING.search(words) else PlatformError
    return kind(message, code=ErrorCode.GIT_FAILED, component=COMPONENT, context={"exit_code": exit_code})


def is_corruption(error: PlatformError) -> bool:
    """Whether the error says that objects on disk are damaged or missing."""
    return error.code is ErrorCode.GIT_FAILED and _CORRUPT.search(error.message) is not None
