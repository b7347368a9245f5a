"""Clone URLs: which the worker accepts, and how their repositories are named in the cache."""

import hashlib
import re
from urllib.parse import urlsplit

from forge_sdk.errors import AuthenticationError, ConfigurationError

_SCP_LIKE = re.compile(r"^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^\s]+$")
REMOTE_SCHEMES = frozenset({"https", "ssh"})
LOCAL_SCHEMES = frozenset({"file", "http", "git"})


def check_clone_url(url: str, *, allow_local: bool) -> None:
    """Raises where the URL is of a kind that is not accepted, or carries a password."""
    if _SCP_LIKE.match(url):
        return
    parts = urlsplit(url)
    if parts.password is not None:
        raise ConfigurationError(
            "the clone URL carries a password: register it without, and give git_credentials", component="git"
        )
    if parts.scheme in REMOTE_SCHEMES and parts.hostname and not parts.hostname.startswith("-"):
        return
    if parts.scheme in LOCAL_SCHEMES and allow_local:
        return
    if parts.scheme in LOCAL_SCHEMES:
        raise AuthenticationError(
            f"clone URLs of kind {parts.scheme}:// are accepted by an embedded platform only: use https or ssh",
            component="git",
        )
    raise ConfigurationError(f"clone URL {url!r} is not one of https or ssh", component="git")


def cache_name(url: str) -> str:
    """Name of a source in the cache: what is readable of it, and a digest that makes it unique."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", url.removesuffix(".git"))[-40:].strip("-").lower()
    return f"{readable}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
