"""The artifacts of a release under the policy of this environment: each tracking image's signature and provenance."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from forge_oci.core.digests import validate_digest
from forge_oci.core.errors import OciError, Reason
from forge_oci.core.keys import PublicKey
from forge_oci.core.names import repository_path, validate_repository
from forge_oci.core.statement import PROVENANCE_PREDICATE, SIGN_PREDICATE, Statement

from .errors import CmpError
from .pointer import Pointer
from .registry import RegistryReader
from .transport import Transport

MAX_ARTIFACTS = 200
_NAME = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
_REF = re.compile(r"git\+.*@(refs/[^@]+)")


class Policy(NamedTuple):
    """Keys that may have signed, and patterns of the refs that a build may come from (empty: any)."""

    keys: Sequence[PublicKey]
    allowed_refs: Sequence[str]


class Artifact(NamedTuple):
    """An artifact as the release's metadata names it: digest, and repository and digest of its tracking image."""

    name: str
    digest: str
    repository: str
    tracking_digest: str


def verify_artifacts(metadata: Mapping[str, Any], pointer: Pointer, transport: Transport, policy: Policy) -> None:
    """Check every artifact that the (verified) metadata of the release names.

    Raises `CmpError`: `artifacts_invalid`, `artifact_<reason>` for the signature of a tracking image,
    `provenance_<reason>` for its attestation, `provenance_wrong_repository`, `..._project`, `..._commit`,
    `..._artifact`, `ref_unknown`, `ref_not_allowed`.
    """
    artifacts = _artifacts(metadata, pointer)
    if policy.allowed_refs and not artifacts:
        raise CmpError("ref_unknown", "the release has no artifacts, so that nothing says which ref it was built from")
    for artifact in artifacts:
        _verify(artifact, RegistryReader(transport, artifact.repository), pointer, policy)


def _verify(artifact: Artifact, reader: RegistryReader, pointer: Pointer, policy: Policy) -> None:
    link = "artifact"
    try:
        attestations = reader.attestations(artifact.tracking_digest)
        attestations.verify(policy.keys, SIGN_PREDICATE)
        link = "provenance"
        statement = attestations.verify(policy.keys, PROVENANCE_PREDICATE)
    except OciError as error:
        raise _refused(artifact, f"{link}_{error.reason.value}", str(error)) from error
    _check_provenance(artifact, statement, pointer, policy)


def _check_provenance(artifact: Artifact, statement: Statement, pointer: Pointer, policy: Policy) -> None:
    definition = _object(statement.predicate.get("buildDefinition"))
    parameters = _object(definition.get("externalParameters"))
    source = _source(definition)
    commit = _object(source.get("digest")).get("gitCommit")
    expected = {
        "repository": (parameters.get("repository"), pointer.repository),
        "project": (parameters.get("project"), pointer.project),
        "commit": (commit, pointer.release),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            text = f"was built from another {what}: {str(found)[:200]!r}, the pointer names {wanted!r}"
            raise _refused(artifact, f"provenance_wrong_{what}", text)
    if artifact.digest not in statement.subjects:
        raise _refused(artifact, "provenance_wrong_artifact", f"its provenance is not about {artifact.digest}")
    if policy.allowed_refs:
        _check_ref(artifact, source.get("uri"), policy.allowed_refs)


def _check_ref(artifact: Artifact, uri: object, allowed: Sequence[str]) -> None:
    found = _REF.fullmatch(uri) if isinstance(uri, str) else None
    if found is None:
        raise _refused(artifact, "ref_unknown", "its provenance names no ref")
    if not any(fnmatchcase(found[1], pattern) for pattern in allowed):
        patterns = ", ".join(allowed)
        raise _refused(artifact, "ref_not_allowed", f"was built from {found[1][:200]}; allowed here: {patterns}")


def _artifacts(metadata: Mapping[str, Any], pointer: Pointer) -> list[Artifact]:
    entries = metadata.get("artifacts")
    if not isinstance(entries, list) or len(entries) > MAX_ARTIFACTS:
        raise CmpError("artifacts_invalid", "the release's metadata has no list of artifacts, or an absurd one")
    return [_artifact(_object(entry), pointer) for entry in entries]


def _artifact(entry: Mapping[str, Any], pointer: Pointer) -> Artifact:
    name, tracking = entry.get("name"), _object(entry.get("tracking"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CmpError("artifacts_invalid", f"the release's metadata names an artifact {str(name)[:100]!r}")
    repository = str(tracking.get("uri", "")).partition(":")[0]
    try:
        expected = repository_path("", pointer.repository, pointer.project, name)
        if not f"/{validate_repository(repository)}".endswith(f"/{expected}"):
            raise CmpError(
                "artifacts_invalid", f"artifact {name} has the tracking image of something else: {repository[:200]!r}"
            )
        return Artifact(name, validate_digest(entry.get("digest")), repository, validate_digest(tracking.get("digest")))
    except OciError as error:
        raise CmpError("artifacts_invalid", f"artifact {name} in the release's metadata: {error}") from error


def _source(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    dependencies = definition.get("resolvedDependencies")
    return _object(dependencies[0]) if isinstance(dependencies, list) and dependencies else {}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _refused(artifact: Artifact, code: str, text: str) -> CmpError:
    missing = code == f"artifact_{Reason.BUNDLE_MISSING.value}"
    advice = ("is the tracking image still in the registry?",) if missing else ()
    image = f"tracking image: {artifact.repository}@{artifact.tracking_digest}"
    return CmpError(code, f"artifact {artifact.name}: {text}", details=(image, *advice))
