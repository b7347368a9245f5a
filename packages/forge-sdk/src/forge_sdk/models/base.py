"""The two kinds of models and the version that travels with messages."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

SCHEMA_VERSION = "1.0"


class UnsupportedSchemaVersionError(ValueError):
    """A message of another major version."""


def check_schema_version(version: str) -> str:
    """`version` where its major is ours; else `UnsupportedSchemaVersionError`, which names both."""
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise UnsupportedSchemaVersionError(
            f"message has schemaVersion {version}, this process reads {SCHEMA_VERSION}: upgrade the older of the two"
        )
    return version


SchemaVersion = Annotated[str, AfterValidator(check_schema_version)]


class WireModel(BaseModel):
    """A message between our processes: frozen, unknown fields of the same major version are ignored."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="ignore", populate_by_name=True)


class VersionedModel(WireModel):
    """A message that carries `schemaVersion` (MAJOR.MINOR)."""

    model_config = ConfigDict(serialize_by_alias=True)

    schema_version: SchemaVersion = Field(default=SCHEMA_VERSION, alias="schemaVersion")


class CamelModel(WireModel):
    """Part of a document whose JSON names are written like `releaseEnabled`."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


class ClosedModel(BaseModel):
    """What a person writes: frozen, unknown fields are refused."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid", populate_by_name=True)
