"""The packages inside a release's artifacts, as the SBOMs of their tracking images name them (SPDX 2.3, JSON)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, ValidationError

from forge_cli.releases.images import MAX_BYTES
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import Release, ReleaseArtifact

if TYPE_CHECKING:
    from forge_oci.registry import RegistryClient

Packages = Mapping[str, frozenset[str]]
"""Versions by name."""


@dataclass(frozen=True, slots=True)
class PackageChange:
    """Versions of a package in an artifact before and after; none where the package is not there."""

    artifact: str
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class _Package(BaseModel):
    id: str = Field(alias="SPDXID")
    name: str
    version: str = Field(default="", alias="versionInfo")


class _Relationship(BaseModel):
    kind: str = Field(alias="relationshipType")
    related: str = Field(alias="relatedSpdxElement")


class _Document(BaseModel):
    packages: list[_Package] = []
    relationships: list[_Relationship] = []


async def packages_of(client: "RegistryClient", release: Release) -> dict[str, Packages | None]:
    """The packages of each artifact by its name; nothing for one whose tracking image holds no SBOM.

    Raises `registry_failed` for what is no tracking image or no SPDX document.
    """
    return {artifact.name: await _packages(client, artifact) for artifact in release.artifacts}


def changed_packages(
    before: Mapping[str, Packages | None], after: Mapping[str, Packages | None]
) -> Iterator[PackageChange]:
    """What differs, by artifact and name, for artifacts of both sides that have an SBOM, and for those of one side only."""
    for artifact in sorted({*before, *after}):
        old, new = before.get(artifact, {}), after.get(artifact, {})
        if old is None or new is None:
            continue
        for name in sorted({*old, *new}):
            versions = old.get(name, frozenset()), new.get(name, frozenset())
            if versions[0] != versions[1]:
                yield PackageChange(artifact, name, tuple(sorted(versions[0])), tuple(sorted(versions[1])))


def read_packages(document: bytes) -> Packages:
    """The packages of an SPDX document, without the artifact that it describes; `ValidationError` for what is none."""
    found = _Document.model_validate_json(document)
    described = {entry.related for entry in found.relationships if entry.kind == "DESCRIBES"}
    packages: dict[str, frozenset[str]] = {}
    for package in found.packages:
        if package.id not in described:
            packages[package.name] = packages.get(package.name, frozenset()) | {package.version or "without a version"}
    return packages


async def _packages(client: "RegistryClient", artifact: ReleaseArtifact) -> Packages | None:
    from forge_oci.core.errors import OciError
    from forge_oci.core.tracking import unpack_tracking

    repository = artifact.tracking_oci_uri.rpartition(":")[0]
    image = await client.pull(repository, artifact.tracking_oci_digest, max_bytes=MAX_BYTES)
    try:
        sbom = unpack_tracking(image).spdx
        return None if sbom is None else read_packages(image.read(sbom, limit=MAX_BYTES))
    except (OciError, ValidationError) as error:
        raise PlatformError(
            f"the SBOM of artifact {artifact.name} can't be read: {error}",
            code=ErrorCode.REGISTRY_FAILED,
            component="registry",
        ) from error
