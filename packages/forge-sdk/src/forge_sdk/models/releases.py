"""The pointer file that names the release of a project in an environment."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from forge_sdk.identifiers import DIGEST_PATTERN, PROJECT_PATTERN, REPOSITORY_PATTERN, SHA_PATTERN
from forge_sdk.models.base import ClosedModel

GROUP = "forge.projectcatalyst.io"
POINTER_API_VERSION = f"{GROUP}/v1alpha1"
ENVIRONMENT_LABEL = f"{GROUP}/environment"


class _PointerPart(ClosedModel):
    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


class PointerMetadata(_PointerPart):
    """Kubernetes metadata: `namespace` is the project's slug."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    namespace: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    labels: dict[str, str] = Field(default_factory=dict)


class PointerAliases(_PointerPart):
    """Other names of the release, at the moment of the deployment."""

    numeric: int | None = None
    tag: str | None = None
    branch: str | None = None


class PointerSpec(_PointerPart):
    """Which release: `release` is the commit, `digest` that of the release image."""

    repository: str = Field(pattern=REPOSITORY_PATTERN)
    project: str = Field(pattern=PROJECT_PATTERN)
    release: str = Field(pattern=SHA_PATTERN)
    digest: str = Field(pattern=DIGEST_PATTERN)
    aliases: PointerAliases = Field(default_factory=PointerAliases)
    deployed_at: datetime
    deployed_by: str
    approved_by: tuple[str, ...] | None = None
    approved_at: datetime | None = None


class ReleasePointer(_PointerPart):
    """The `ReleasePointer` file `<root>/<environment>/<slug>/release.yaml`."""

    api_version: Literal["forge.projectcatalyst.io/v1alpha1"] = "forge.projectcatalyst.io/v1alpha1"
    kind: Literal["ReleasePointer"] = "ReleasePointer"
    metadata: PointerMetadata
    spec: PointerSpec
