"""Artifacts in a staging folder, and the requests that publish them to a real S3 server."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from packed import tar_gz

from forge_sdk.identifiers import uuid7
from forge_sdk.models.artifacts import (
    ArchiveFile,
    ArchiveOutput,
    CreateArtifactResponse,
    PreflightRequest,
    PublishArtifactRequest,
    PublishArtifactResponse,
)
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.models.jobs import GitContext
from forge_sdk.plugins.files import file_facts
from forge_sdk.plugins.manager import load_plugins
from forge_sdk.secrets import Secret
from forge_sdk.testing import LocalContext

REFERENCE = {"provider": "local", "key": "publishers/s3/token"}
REFERENCE_TEXT = "local(key=publishers/s3/token)"


@dataclass
class Shelf:
    """A bucket, and the plugin as a worker calls it."""

    client: Any
    bucket: str
    staging: Path
    repo_config: dict[str, Any]
    context: LocalContext
    project_config: dict[str, Any] = field(default_factory=dict)

    def stage(self, name: str, data: bytes) -> ArchiveFile:
        path = self.staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        facts = file_facts(path)
        return ArchiveFile(path=name, format="zip", size=facts.size, digest=facts.digest)

    async def publish(self, *files: ArchiveFile, release_id: uuid.UUID | None = None) -> PublishArtifactResponse:
        output = ArchiveOutput(files=files)
        request = PublishArtifactRequest(
            project="docs",
            project_path=".",
            repository="acme/shop",
            repository_path=".",
            commit_sha="a" * 40,
            git=GitContext(tag="v1.2"),
            release_id=release_id or uuid7(),
            artifact=CreateArtifactResponse(name="files", project="docs", type="archive", output=output),
            staging_path=str(self.staging),
            publisher="shelf",
            repo_config=self.repo_config,
            project_config=self.project_config,
        )
        return await load_plugins().publisher("s3").publish(request, self.context)

    async def publish_site(self, files: Mapping[str, bytes], **options: Any) -> PublishArtifactResponse:
        self.project_config = {"site": True, **self.project_config}
        return await self.publish(self.stage("site.tar.gz", tar_gz(files)), **options)

    async def preflight(self) -> tuple[str, ...]:
        request = PreflightRequest(
            project="docs",
            repository="acme/shop",
            commit_sha="a" * 40,
            git=GitContext(),
            artifact=ArtifactDefinition(name="files", type="archive", producer="command"),
            publisher="shelf",
            repo_config=self.repo_config,
            project_config=self.project_config,
        )
        return (await load_plugins().publisher("s3").preflight(request, self.context)).warnings

    def stored(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def get(self, key: str) -> dict[str, Any]:
        answer = self.client.get_object(Bucket=self.bucket, Key=key)
        with answer["Body"] as body:
            return {**answer, "Body": body.read()}


@pytest.fixture
def shelf(s3_bucket: Any, s3_client: Any, tmp_path: Path) -> Shelf:
    staging = tmp_path / "staging"
    staging.mkdir()
    configuration = {
        "bucket": s3_bucket.bucket,
        "endpoint": s3_bucket.endpoint_url,
        "region": s3_bucket.region,
        "credentials": REFERENCE,
    }
    secret = Secret(f"{s3_bucket.access_key}:{s3_bucket.secret_key}")
    return Shelf(s3_client, s3_bucket.bucket, staging, configuration, LocalContext(secrets={REFERENCE_TEXT: secret}))


@pytest.fixture
def intercept(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces a method of `Bucket` by one that is given the original first."""

    def replace(name: str, function: Callable[..., Any]) -> None:
        from forge_publisher_s3.bucket import Bucket

        original = getattr(Bucket, name)
        monkeypatch.setattr(Bucket, name, lambda *args, **kwargs: function(original, *args, **kwargs))

    return replace
