"""Names and identifiers that everything agrees on."""

import hashlib
import os
import re
import time
import uuid

JOB_NAMESPACE = uuid.UUID("6f1c2f0e-5a0c-5b7e-9f57-7a2b6f5f9d10")
"""Namespace of derived job identifiers; changing it would make a dispatcher lose the jobs of an earlier version."""

SHA_PATTERN = r"^[0-9a-f]{40}$"
REPOSITORY_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?/[A-Za-z0-9._-]{1,100}$"
PROJECT_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
NAME_PATTERN = r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$"
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"

_SLUG_LENGTH = 63
_SLUG_CUT = 54


class _Clock:
    """The time in 4096ths of a millisecond; each is later than the one before."""

    def __init__(self) -> None:
        self._last = 0

    def tick(self) -> int:
        self._last = max(time.time_ns() * 4096 // 1_000_000, self._last + 1)
        return self._last


_clock = _Clock()


def uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, section 6.2, method 3): 48 bits of milliseconds, 12 of their fraction, then random bits.

    Sortable by time; those of one thread come in the order in which they were made.
    """
    milliseconds, fraction = divmod(_clock.tick(), 4096)
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random)


def job_id(run_id: uuid.UUID, *parts: str) -> uuid.UUID:
    """Identifier of a job, derived from its run and what it is about, so that a second dispatcher finds the first one's."""
    return uuid.uuid5(JOB_NAMESPACE, "\x00".join((str(run_id), *parts)))


def slug(repository: str, project: str, *, taken: bool = False) -> str:
    """Name of the namespace and folder of a project: `<repo>-<project>` as a DNS label.

    Longer than 63 characters, or `taken` by another pair: cut to 54, `-`, and 8 hex digits of the SHA-256 of
    `owner/name/project`.
    """
    name = repository.partition("/")[2]
    label = re.sub(r"[^a-z0-9]+", "-", f"{name}-{project}".lower()).strip("-")
    if len(label) <= _SLUG_LENGTH and not taken:
        return label
    digest = hashlib.sha256(f"{repository}/{project}".encode()).hexdigest()[:8]
    return f"{label[:_SLUG_CUT].rstrip('-')}-{digest}"


def canonical_release(repository: str, project: str, commit_sha: str) -> str:
    """The canonical triplet `owner/name/project/commit-sha` of a release."""
    return f"{repository}/{project}/{commit_sha}"
