"""SLSA provenance v1: how an artifact came to be."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .statement import PROVENANCE_PREDICATE, encode_statement

BUILD_TYPE = "https://projectcatalyst.io/forge/artifact-build/v1"


class Build(NamedTuple):
    """One build, as provenance records it.

    `source_uri` is like `git+https://github.com/acme/shop@refs/heads/main`; times are RFC 3339 in UTC and end in `Z`;
    `external_parameters` are what a user could choose (project, artifact, producer configuration).
    """

    builder_id: str
    invocation_id: str
    source_uri: str
    commit: str
    started_on: str
    finished_on: str
    external_parameters: Mapping[str, Any]
    internal_parameters: Mapping[str, Any] = {}
    builder_version: Mapping[str, str] = {}


def provenance_statement(name: str, digest: str, build: Build) -> bytes:
    """Return the in-toto statement with the SLSA provenance of the artifact `name` with `digest`."""
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": dict(build.external_parameters),
            "internalParameters": dict(build.internal_parameters),
            "resolvedDependencies": [{"uri": build.source_uri, "digest": {"gitCommit": build.commit}}],
        },
        "runDetails": {
            "builder": {"id": build.builder_id, "version": dict(build.builder_version)},
            "metadata": {
                "invocationId": build.invocation_id,
                "startedOn": build.started_on,
                "finishedOn": build.finished_on,
            },
        },
    }
    return encode_statement([(name, digest)], PROVENANCE_PREDICATE, predicate)
