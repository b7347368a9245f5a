"""The platform's CUE schema, composed with what the installed plugins contribute."""

from forge_project.schema.composition import (
    IMPORT_PATH,
    PACKAGE,
    RepositoryNames,
    compose,
    composed_schema,
)

__all__ = ["IMPORT_PATH", "PACKAGE", "RepositoryNames", "compose", "composed_schema"]
