"""Which URLs repositories may be cloned from."""

import re
from urllib.parse import SplitResult, urlsplit

from forge_api.web.errors import validation_error

SCHEMES = {"https", "ssh"}
_SCP_LIKE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[A-Za-z0-9._~/-]+")


def require_usable(url: str, *, allow_local: bool) -> None:
    """Raises `validation_error` for what git must not be given: other transports, credentials, options.

    Accepted: `https://`, `ssh://`, `user@host:path`, and `file://` with an absolute path where `allow_local`.
    """
    problem = _problem(url, allow_local=allow_local)
    if problem:
        raise validation_error([{"pointer": "/clone_url", "message": problem}])


def _problem(url: str, *, allow_local: bool) -> str | None:
    if not url.isprintable() or any(character.isspace() for character in url):
        return "must not hold spaces or control characters"
    if _SCP_LIKE.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is not a URL"
    return _local_problem(parts, allow_local=allow_local) if parts.scheme == "file" else _remote_problem(parts)


def _local_problem(parts: SplitResult, *, allow_local: bool) -> str | None:
    if not allow_local:
        return "file URLs are accepted by an embedded platform only (allow_local_repositories)"
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        return "must be file:///absolute/path"
    return None


def _remote_problem(parts: SplitResult) -> str | None:
    if parts.password is not None or (parts.scheme == "https" and parts.username is not None):
        return "must not hold credentials: give a reference in git_credentials"
    host = parts.hostname or ""
    if parts.scheme not in SCHEMES or not host or host.startswith("-") or (parts.username or "").startswith("-"):
        return "must be https://host/path, ssh://user@host/path or user@host:path"
    return None
