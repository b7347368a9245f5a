import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from forge_cue import Evaluator
from forge_oci.core.release import unpack_release
from forge_oci.registry import verify_image
from forge_project import ProjectComponent
from forge_sdk.errors import AlreadyExists, ErrorCode, PlatformError, TransientError
from forge_sdk.models.artifacts import ArchiveFile, ArchiveOutput, ArtifactRecord, PublisherResult
from forge_sdk.models.jobs import JobType
from forge_sdk.models.payloads import ReleasePayload
from forge_sdk.models.statuses import ArtifactType
from forge_worker.handlers.release import ReleaseHandler, summarise

DIGEST = "sha256:" + "a" * 64
REPO = """package repo
forgeVersion: "v0.1.0"
tagging: strategy: "monorepo"
publishers: one: {type: "shelf", shelf: "one"}
"""
PROJECT = """package project
name: "api"
artifacts: tool: {type: "archive", producer: builder: {}, publishers: one: {}}
deployment: resources: [{
	apiVersion: "v1"
	kind:       "ConfigMap"
	metadata: name: "api"
	data: {digest: _ @artifact("tool.digest"), uri: _ @artifact("tool.uri")}
}]
"""


def _record(uri="shelf://one"):
    file = ArchiveFile(path="tool.zip", format="zip", size=1, digest=DIGEST)
    return ArtifactRecord(
        name="tool",
        type=ArtifactType.ARCHIVE,
        digest=DIGEST,
        output=ArchiveOutput(files=(file,)),
        tracking_oci_uri="acme/shop/api/tool:sha-1",
        tracking_oci_digest="sha256:" + "b" * 64,
        publishers=(PublisherResult(publisher="one", uri=uri, metadata={"shelf": "one"}),),
        built_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
async def release(jobs, make_services, source, plugins):
    """Runs a release job of the project, with the artifact as it was published."""
    commit = source.commit({".forge/repo.cue": REPO, "services/api/.forge/project.cue": PROJECT})
    async with Evaluator() as evaluator:
        services = {name: getattr(jobs.services, name) for name in ("storage", "api", "registry", "observer", "signer")}
        jobs.services = make_services(**services, project=ProjectComponent(plugins, evaluator))

        async def run(record=None, **changes):
            payload = ReleasePayload(
                release_id=uuid.UUID(int=1),
                project="api",
                project_path="services/api",
                artifacts=(record or _record(),),
            )
            job = jobs.job(JobType.RELEASE, payload, **{"commit_sha": commit, **changes})
            return await jobs.run(ReleaseHandler(), job)

        run.commit = commit
        yield run


async def test_a_release_image_holds_resources_and_source(release, jobs, signing_key, platform_api):
    output = await release()
    assert platform_api.states == ["packing"]
    assert output.resources == ("ConfigMap/api",)
    repository, _, tag = output.oci_uri.rpartition(":")
    assert tag == release.commit
    image = await jobs.services.registry.pull(repository, tag)
    assert image.digest == output.oci_digest
    unpacked = unpack_release(image)
    assert b"shelf://one" in b"".join(unpacked.files.values())
    assert unpacked.metadata["source"] == {
        "commit": release.commit,
        "author": {"name": "Test", "email": "test@example.org"},
        "message": "change",
        "time": "2026-01-02T03:04:05Z",
    }
    assert (unpacked.metadata["repository"], unpacked.metadata["project"]) == ("acme/Shop", "api")
    assert unpacked.metadata["artifacts"][0]["tracking"]["digest"] == _record().tracking_oci_digest
    assert unpacked.metadata["resources"]["kinds"] == {"ConfigMap": 1}
    await verify_image(jobs.services.registry, repository, image.digest, [signing_key])


@pytest.mark.parametrize("name", ["render", "pack", "push"])
@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_crash_at_any_checkpoint_changes_nothing_in_the_end(release, observer, name, side):
    observer.stop_at = f"release.{name}:{side}"
    with pytest.raises(Exception, match=name):
        await release()
    assert await release() == await release()


async def test_another_image_of_the_commit_is_a_conflict(release):
    first = await release()
    with pytest.raises(AlreadyExists) as caught:
        await release(_record(uri="shelf://elsewhere"))
    assert caught.value.existing_digest == first.oci_digest


async def test_an_image_that_cannot_be_signed_is_not_tagged(release, jobs, tmp_path, configuration):
    (tmp_path / "forge.key").write_text("no key")
    with pytest.raises(PlatformError) as caught:
        await release()
    assert caught.value.code is ErrorCode.SIGNING_FAILED
    repository = f"{configuration.registry.release_prefix}/acme/shop/api"
    assert await jobs.services.registry.resolve(repository, release.commit) is None


async def test_a_missing_output_names_what_there_is(release):
    record = _record().model_copy(update={"publishers": ()})
    with pytest.raises(PlatformError) as caught:
        await release(record)
    assert caught.value.code is ErrorCode.RENDERING_FAILED


@pytest.mark.parametrize("content", [b"- 1", b"kind: A", b"kind: A\nmetadata: 1", b"a: ["])
def test_what_is_no_object_is_refused(content):
    with pytest.raises(PlatformError, match=r"a\.yaml"):
        summarise({"a.yaml": content})


async def test_a_signer_that_is_down_leaves_nothing_public_and_is_waited_for(
    release, jobs, configuration, platform_api
):
    class Away:
        async def public_key(self):
            raise TransientError("no route to the signer")

        sign_statement = public_key

    signer, jobs.services = jobs.services.signer, replace(jobs.services, signer=Away())
    with pytest.raises(TransientError, match="no route"):
        await release()
    assert platform_api.states == ["packing", "awaiting_signature"]
    repository = f"{configuration.registry.release_prefix}/acme/shop/api"
    assert await jobs.services.registry.resolve(repository, release.commit) is None
    jobs.services = replace(jobs.services, signer=signer)
    output = await release()
    assert await jobs.services.registry.resolve(repository, release.commit) == output.oci_digest
