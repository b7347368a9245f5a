"""Names of registries, repositories, tags and references (OCI distribution specification 1.1)."""

import re
from typing import NamedTuple

from .digests import hex_part, validate_digest
from .errors import FormatError, Reason

MAX_NAME_LENGTH = 255
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Reference(NamedTuple):
    """A complete image reference: registry host, repository, and a tag or digest or both."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        """Return `host/repository[:tag][@digest]`."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def validate_repository(name: str) -> str:
    """Return `name` if it is a repository name, else raise `FormatError` (`invalid_name`)."""
    if len(name) > MAX_NAME_LENGTH or not _REPOSITORY.fullmatch(name):
        raise _invalid("repository name", name, "use lower-case letters and digits, separated by one of . _ __ - /")
    return name


def validate_tag(tag: str) -> str:
    """Return `tag` if it is a tag, else raise `FormatError` (`invalid_name`)."""
    if not _TAG.fullmatch(tag):
        raise _invalid("tag", tag, "use at most 128 letters, digits, dots, dashes and underscores")
    return tag


def validate_host(host: str) -> str:
    """Return `host` if it is a registry host with an optional port, else raise `FormatError` (`invalid_name`)."""
    if len(host) > MAX_NAME_LENGTH or not _HOST.fullmatch(host):
        raise _invalid("registry host", host, "write host or host:port, without a scheme or a path")
    return host


def split_registry(registry: str) -> tuple[str, str]:
    """Split a configured registry, `host[:port][/prefix]`, into host and prefix (may be empty)."""
    host, _, prefix = registry.partition("/")
    prefix = prefix.strip("/")
    return validate_host(host), validate_repository(prefix) if prefix else ""


def repository_path(prefix: str, repository: str, project: str, artifact: str | None = None) -> str:
    """Return the repository name that holds a project's releases or an artifact's tracking images.

    `prefix` is the path part of the configured registry (empty for none), `repository` is `owner/name`. The result
    is `[<prefix>/]<owner>/<name>/<project>[/<artifact>]`, folded to lower case. Raises `FormatError`
    (`invalid_name`) where the folded name is not one that registries accept.
    """
    if repository.count("/") != 1:
        raise _invalid("repository", repository, "write owner/name")
    parts = [prefix, repository, project] + ([artifact] if artifact is not None else [])
    return validate_repository("/".join(parts).removeprefix("/").lower())


def tracking_tag(commit: str) -> str:
    """Return the tag of a tracking image, `sha-<commit>`."""
    return "sha-" + _validate_commit(commit)


def release_tag(commit: str) -> str:
    """Return the tag of a release image, the full commit SHA."""
    return _validate_commit(commit)


def referrers_tag(digest: str) -> str:
    """Return the fallback tag that lists an image's referrers where the registry has no referrers API."""
    return "sha256-" + hex_part(digest)


def parse_reference(text: str) -> Reference:
    """Parse `host/repository[:tag][@digest]`; raise `FormatError` for anything else.

    The host is always required: there is no default registry.
    """
    name, at, digest = text.partition("@")
    host, slash, rest = name.partition("/")
    repository, colon, tag = rest.partition(":")
    if not slash or not (at or colon):
        raise _invalid("reference", text, "write host/repository:tag or host/repository@sha256:...")
    return Reference(
        validate_host(host),
        validate_repository(repository),
        validate_tag(tag) if colon else None,
        validate_digest(digest) if at else None,
    )


def _validate_commit(commit: str) -> str:
    if not _COMMIT.fullmatch(commit):
        raise _invalid("commit", commit, "use the full SHA, 40 lower-case hexadecimal digits")
    return commit


def _invalid(what: str, value: str, advice: str) -> FormatError:
    return FormatError(Reason.INVALID_NAME, f"{value[:300]!r} is not a valid {what}: {advice}")
