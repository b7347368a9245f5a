"""The environments file: closed models, read again when the file changes."""

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from forge_api.deployments.windows import Window
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.models import api
from forge_sdk.models.base import ClosedModel
from forge_sdk.models.statuses import ReleaseTriggerType

MAX_FILE = 2**20
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
COMPONENT = "environments"
EnvironmentName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
logger = get_logger(__name__)


class Approvals(ClosedModel):
    """How many must approve, and how long an approval holds (like `24h`)."""

    count: int = Field(default=1, ge=1, le=20)
    expires: str = Field(default="24h", pattern=r"^[1-9][0-9]{0,5}[smhd]$")


class PromotionPolicy(ClosedModel):
    """What a release must have, so that it may be deployed; what is not set asks for nothing.

    `after` are environments in which the release must have been active before.
    """

    allowed_triggers: tuple[ReleaseTriggerType, ...] = tuple(ReleaseTriggerType)
    allowed_branches: tuple[str, ...] | None = None
    auto_deploy: bool = False
    requires_approval: bool = False
    approvals: Approvals | None = None
    after: tuple[EnvironmentName, ...] = ()
    require_signature: bool = True
    allow_partial: bool = False


class EnvironmentPolicy(ClosedModel):
    """One environment of the file; `freeze` are windows in which nothing is deployed to it."""

    promotion_policy: PromotionPolicy = PromotionPolicy()
    freeze: tuple[Window, ...] = ()


class EnvironmentsDocument(ClosedModel):
    """The whole file: `environments: {<name>: {promotion_policy: {...}, freeze: [...]}}`."""

    environments: dict[EnvironmentName, EnvironmentPolicy]

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, found in self.environments.items():
            for other in found.promotion_policy.after:
                if other == name or other not in self.environments:
                    raise ValueError(
                        f"environment {name} comes after {other!r}, which is no other environment of this file"
                    )
        return self


class Environments:
    """The environments as the file says now; while a changed file is wrong, the last good one stays."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = self._signature()
        self._document = _load(file)

    def current(self) -> dict[str, EnvironmentPolicy]:
        """All environments by name. One look at the file's state; it is small and local, so it is read right here."""
        state = self._signature()
        if state != self._state:
            self._state = state
            self._reload()
        return self._document.environments

    def find(self, name: str) -> EnvironmentPolicy:
        """The environment of that name; `not_found` names those that there are."""
        found = self.current().get(name)
        if found is None:
            known = ", ".join(sorted(self.current())) or "none"
            raise PlatformError(
                f"environment {name} does not exist; configured are: {known}",
                code=ErrorCode.NOT_FOUND,
                component=COMPONENT,
            )
        return found

    def models(self) -> tuple[api.Environment, ...]:
        """All environments as the API shows them."""
        return tuple(
            api.Environment(name=name, policy=found.model_dump(mode="json", exclude_defaults=True))
            for name, found in self.current().items()
        )

    def _reload(self) -> None:
        try:
            self._document = _load(self._file)
        except ConfigurationError as error:
            logger.error("environments_not_reloaded", error=error.message)  # noqa: TRY400 - the message says it all
        else:
            logger.info("environments_reloaded", environments=sorted(self._document.environments))

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def _load(file: Path) -> EnvironmentsDocument:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"environments file {file} can't be read: {error.strerror}", component=COMPONENT
        ) from error
    if len(data) > MAX_FILE:
        raise ConfigurationError(f"environments file {file} is larger than {MAX_FILE} bytes", component=COMPONENT)
    try:
        return EnvironmentsDocument.model_validate(yaml.safe_load(data) or {})
    except yaml.YAMLError as error:
        raise ConfigurationError(f"environments file {file} is not YAML: {error}", component=COMPONENT) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, found['loc'])) or 'file'}: {found['msg']}" for found in error.errors()
        )
        raise ConfigurationError(f"environments file {file}: {problems}", component=COMPONENT) from error
