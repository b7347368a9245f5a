import uuid
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from forge_sdk.errors import PlatformError
from forge_sdk.models.artifacts import ArtifactRecord
from forge_sdk.models.base import UnsupportedSchemaVersionError
from forge_sdk.models.discovery import DiscoveryDocument
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.models.payloads import CiPayload
from forge_sdk.models.releases import ReleasePointer

DIGEST = "sha256:" + "0" * 64


def job(**fields) -> dict:
    values = {"id": str(uuid.uuid4()), "type": "ci", "run_id": str(uuid.uuid4()), "repository": "acme/shop"}
    return {**values, "clone_url": "https://example.com/acme/shop.git", "commit_sha": "a" * 40, **fields}


def test_messages_carry_their_version_and_survive_json():
    sent = Job.model_validate(job())
    assert '"schemaVersion":"1.0"' in sent.model_dump_json()
    assert Job.model_validate_json(sent.model_dump_json()) == sent


def test_a_newer_minor_version_is_read_and_its_new_fields_ignored():
    assert Job.model_validate(job(schemaVersion="1.7", brand_new=True)).schema_version == "1.7"


def test_another_major_version_is_refused_naming_both():
    with pytest.raises(ValidationError, match=r"schemaVersion 2\.0, this process reads 1\.0"):
        Job.model_validate(job(schemaVersion="2.0"))
    assert issubclass(UnsupportedSchemaVersionError, ValueError)


def test_payload_that_does_not_fit_names_the_field():
    with pytest.raises(PlatformError, match="task_id: Field required"):
        Job.model_validate(job()).payload_as(CiPayload)


def test_result_says_whether_it_succeeded():
    now = datetime.now(UTC)
    values = {"job_id": uuid.uuid4(), "started_at": now, "finished_at": now, "worker": "w"}
    assert JobResult(status="success", **values).succeeded
    assert not JobResult(status="cancelled", **values).succeeded


def test_discovery_document_is_written_as_the_configuration_is():
    text = DiscoveryDocument().model_dump_json()
    assert all(name in text for name in ("schemaVersion", "phaseGroups", "releaseEnabled", "releaseProjects"))
    assert DiscoveryDocument.model_validate_json(text) == DiscoveryDocument()


def record(**fields) -> ArtifactRecord:
    values = {
        "name": "wheel",
        "type": "archive",
        "digest": DIGEST,
        "output": {"files": [{"path": "a.whl", "format": "whl", "size": 3, "digest": DIGEST}]},
        "tracking_oci_uri": "acme/shop/api/wheel:sha-" + "a" * 40,
        "tracking_oci_digest": DIGEST,
        "built_at": datetime.now(UTC),
    }
    return ArtifactRecord.model_validate({**values, **fields})


def test_attributes_name_the_primary_file_and_the_publishers():
    published = {"publisher": "index", "uri": "https://i/a/", "metadata": {"version": "1.0"}}
    values = record(publishers=[published]).attributes()
    assert (values["digest"], values["size"], values["uri"]) == (DIGEST, 3, "https://i/a/")
    assert values["publishers"] == {"index": {"uri": "https://i/a/", "version": "1.0"}}
    assert "path" not in values
    assert "location_type" not in values


def test_uri_of_a_failed_first_publisher_does_not_exist():
    failed = {"publisher": "index", "error": {"code": "publish_failed", "message": "down"}}
    other = {"publisher": "mirror", "uri": "https://m/a/"}
    values = record(publishers=[failed, other]).attributes()
    assert "uri" not in values
    assert list(values["publishers"]) == ["mirror"]


POINTER = {
    "apiVersion": "forge.projectcatalyst.io/v1alpha1",
    "kind": "ReleasePointer",
    "metadata": {"name": "api", "namespace": "shop-api"},
    "spec": {
        "repository": "acme/shop",
        "project": "api",
        "release": "0" * 40,
        "digest": DIGEST,
        "deployedAt": "2026-01-01T00:00:00Z",
        "deployedBy": "alice@example.com",
    },
}


def test_pointer_is_read_and_written_with_its_own_names():
    written = ReleasePointer.model_validate(POINTER).model_dump(mode="json", exclude_none=True)
    assert written["spec"]["deployedBy"] == "alice@example.com"
    assert written["apiVersion"] == "forge.projectcatalyst.io/v1alpha1"


@pytest.mark.parametrize(
    "change",
    [
        {"release": "main"},
        {"digest": "sha256:short"},
        {"repository": "../../etc"},
        {"project": "a/b"},
        {"unknown": 1},
    ],
)
def test_pointer_that_names_something_else_is_refused(change):
    with pytest.raises(ValidationError):
        ReleasePointer.model_validate({**POINTER, "spec": {**POINTER["spec"], **change}})
