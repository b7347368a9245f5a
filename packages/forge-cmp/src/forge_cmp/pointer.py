"""The `ReleasePointer` that `release.yaml` holds."""

import re
from typing import Any, NamedTuple

from .documents import read_documents
from .errors import CmpError
from .inputs import POINTER_FILE

API_VERSION = "forge.projectcatalyst.io/v1alpha1"
KIND = "ReleasePointer"
CODE = "pointer_invalid"
_PATTERNS = {
    "repository": re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?/[A-Za-z0-9._-]{1,100}"),
    "project": re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"),
    "release": re.compile(r"[0-9a-f]{40}"),
    "digest": re.compile(r"sha256:[0-9a-f]{64}"),
}


class Pointer(NamedTuple):
    """Which release: `release` is the commit, `digest` that of the release image."""

    repository: str
    project: str
    release: str
    digest: str

    def __str__(self) -> str:
        """Return `owner/name/project@commit`, as errors name a release."""
        return f"{self.repository}/{self.project}@{self.release}"


def parse_pointer(content: bytes) -> Pointer:
    """The pointer in `content`; fields that this version doesn't know are ignored.

    Raises `CmpError`: `pointer_invalid`, or what `read_documents` refuses.
    """
    documents = read_documents(content, POINTER_FILE, code=CODE)
    if len(documents) != 1:
        raise CmpError(CODE, f"holds {len(documents)} documents; expected one {KIND}")
    value = documents[0].value
    if value.get("apiVersion") != API_VERSION or value.get("kind") != KIND:
        raise CmpError(CODE, f"is not a {KIND} of {API_VERSION}: this plugin reads no other kind")
    spec = value.get("spec")
    return Pointer(*(_field(spec, name) for name in Pointer._fields))


def _field(spec: Any, name: str) -> str:
    value = spec.get(name) if isinstance(spec, dict) else None
    if not isinstance(value, str) or not _PATTERNS[name].fullmatch(value):
        raise CmpError(CODE, f"spec.{name} is missing or malformed: {str(value)[:100]!r}")
    return value
