"""Pointer files: their text, and the message of the commit that writes one."""

from uuid import UUID

import yaml
from pydantic import ValidationError

from forge_sdk.models.releases import PointerSpec, ReleasePointer
from forge_worker.gitops import TRAILER

MAX_NAME = 200
SHORT = 12


def encode_pointer(pointer: ReleasePointer) -> bytes:
    """The YAML of a pointer: fields in the order of the model, names in camelCase, nothing that is not set."""
    value = pointer.model_dump(mode="json", by_alias=True, exclude_none=True)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000).encode()


def decode_pointer(content: bytes | None) -> ReleasePointer | None:
    """The pointer in `content`; `None` where there is none, or somebody wrote something else."""
    if content is None:
        return None
    try:
        return ReleasePointer.model_validate(yaml.safe_load(content))
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError, RecursionError):
        return None


def names_same_release(content: bytes | None, pointer: ReleasePointer) -> bool:
    """Whether the pointer in `content` names the release and digest that `pointer` names."""
    present = decode_pointer(content)
    return present is not None and _identity(present.spec) == _identity(pointer.spec)


def commit_message(pointer: ReleasePointer, environment: str, present: bytes | None, deployment_id: UUID) -> str:
    """What, from, to, by whom, approved by whom, and the trailer by which a repeated job finds the commit."""
    spec = pointer.spec
    before = decode_pointer(present)
    lines = [
        f"Deploy {spec.repository}/{spec.project} {spec.release[:SHORT]} to {environment}",
        "",
        f"From: {_release(before.spec) if before else 'nothing' if present is None else 'an unreadable pointer'}",
        f"To: {_release(spec)}",
        f"Digest: {spec.digest}",
        f"Deployed by: {_line(spec.deployed_by)}",
    ]
    if spec.approved_by:
        lines.append(f"Approved by: {', '.join(map(_line, spec.approved_by))}")
    return "\n".join([*lines, "", f"{TRAILER}: {deployment_id}", ""])


def _identity(spec: PointerSpec) -> tuple[str, str, str, str]:
    return spec.repository, spec.project, spec.release, spec.digest


def _release(spec: PointerSpec) -> str:
    aliases = spec.aliases
    names = [f"#{aliases.numeric}" if aliases.numeric is not None else None, aliases.tag, aliases.branch]
    known = ", ".join(_line(name) for name in names if name)
    return f"{spec.release} ({known})" if known else spec.release


def _line(text: str) -> str:
    """One line of people's text: line breaks in it could forge a trailer."""
    return "".join(character if character.isprintable() else " " for character in text)[:MAX_NAME]
