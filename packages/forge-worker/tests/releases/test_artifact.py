import asyncio

import pytest

from forge_oci.core.publications import PUBLICATIONS_TYPE, newest_publications, unpack_publications
from forge_oci.core.statement import PROVENANCE_PREDICATE
from forge_oci.core.tracking import unpack_tracking
from forge_oci.registry import verify_image
from forge_sdk.errors import (
    AlreadyExists,
    AuthenticationError,
    ConfigurationError,
    ErrorCode,
    PlatformError,
    TransientError,
)
from forge_sdk.secrets import SecretReference
from forge_worker.handlers.artifact import ArtifactHandler

CHECKPOINTS = ["preflight", "restore", "checkout", "build", "verify", "scan", "seal", "publish", "attach"]


async def _tracking(jobs, output):
    repository, _, tag = output.artifact.tracking_oci_uri.rpartition(":")
    image = await jobs.services.registry.pull(repository, tag)
    assert image.digest == output.artifact.tracking_oci_digest
    return repository, image


async def _publications(jobs, output):
    repository, image = await _tracking(jobs, output)
    client = jobs.services.registry
    newest = newest_publications(await client.referrers(repository, image.digest, PUBLICATIONS_TYPE))
    return repository, newest, unpack_publications(await client.pull(repository, newest.digest), image.digest)


async def test_an_artifact_is_built_sealed_and_published(jobs, shelf, platform_api, storage, signing_key):
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one", "two"))
    assert [result.uri for result in output.artifact.publishers] == ["shelf://one", "shelf://two"]
    assert output.warnings == ()
    assert platform_api.states == ["building", "sealed", "publishing"]
    assert platform_api.ledger == {
        ("one", "tool.zip"): ["planned", "published"],
        ("two", "tool.zip"): ["planned", "published"],
    }
    image = output.artifact.tracking_oci_uri
    assert platform_api.leases == [(image, 600), (image, 0)] * 2
    repository, image = await _tracking(jobs, output)
    assert repository.endswith("/acme/shop/api/tool")
    tracking = unpack_tracking(image)
    assert tracking.artifact_digest == output.artifact.digest == shelf.content["one", "tool.zip"]
    assert tracking.spdx is not None
    assert tracking.syft is not None
    assert tracking.metadata["source"]["commit"] == jobs.commit
    await verify_image(jobs.services.registry, repository, image.digest, [signing_key])
    provenance = await verify_image(
        jobs.services.registry, repository, image.digest, [signing_key], predicate_type=PROVENANCE_PREDICATE
    )
    assert output.artifact.digest in provenance.subjects
    log = await storage.get(output.logs_key, limit=10_000)
    assert b"building tool" in log
    assert output.logs_key.endswith("/artifact/api/tool.log")


@pytest.mark.usefixtures("no_sbom")
async def test_published_locations_are_a_signed_referrer(jobs, shelf, signing_key):
    shelf.errors["two"] = PlatformError("the target is full", code=ErrorCode.PUBLISH_FAILED)
    job = jobs.artifact("one", "two")
    repository, first, rows = await _publications(jobs, await jobs.run(ArtifactHandler(), job))
    assert {row["publisher"]: row["state"] for row in rows} == {"one": "published", "two": "failed"}
    await verify_image(jobs.services.registry, repository, first.digest, [signing_key])
    shelf.errors.clear()
    _, second, rows = await _publications(jobs, await jobs.run(ArtifactHandler(), job))
    assert {row["publisher"]: row["state"] for row in rows} == {"one": "identical", "two": "published"}
    assert second.digest != first.digest


@pytest.mark.usefixtures("no_sbom")
@pytest.mark.parametrize("moment", [f"artifact.{name}:{side}" for name in CHECKPOINTS for side in ("before", "after")])
async def test_a_crash_at_any_checkpoint_changes_nothing_in_the_end(jobs, observer, shelf, builder, moment):
    builder.reproducible = False
    observer.stop_at = moment
    job = jobs.artifact("one", files=("a.zip", "b.zip"))
    with pytest.raises(Exception, match=moment):
        await jobs.run(ArtifactHandler(), job)
    output = await jobs.run(ArtifactHandler(), job)
    again = await jobs.run(ArtifactHandler(), job)
    assert (again.artifact.digest, again.artifact.tracking_oci_digest) == (
        output.artifact.digest,
        output.artifact.tracking_oci_digest,
    )
    assert set(shelf.writes.values()) == {1}
    assert shelf.content["one", "a.zip"] == output.artifact.digest
    assert output.artifact.publishers[0].succeeded


async def test_another_writer_of_the_referrers_is_waited_for(jobs, platform_api, monkeypatch):
    monkeypatch.setattr("forge_worker.leases.POLL_S", 0.01)
    platform_api.leased_elsewhere = 3
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert (output.artifact.publishers[0].uri, platform_api.leased_elsewhere) == ("shelf://one", 0)


async def test_another_writer_that_does_not_end_is_an_error_that_may_pass(jobs, platform_api, shelf, monkeypatch):
    monkeypatch.setattr("forge_worker.leases.POLL_S", 0.01)
    monkeypatch.setattr("forge_worker.leases.WAIT_S", 0.05)
    platform_api.leased_elsewhere = 10**6
    with pytest.raises(TransientError, match="other jobs have been writing referrers of"):
        await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert shelf.content == {}


@pytest.mark.usefixtures("no_sbom")
async def test_a_missing_syft_is_a_warning(jobs):
    output = await jobs.run(ArtifactHandler(), jobs.artifact())
    assert [warning for warning in output.warnings if warning.startswith("no SBOM: ")]


@pytest.mark.usefixtures("no_sbom")
async def test_another_build_of_a_sealed_commit_needs_a_new_commit(jobs, builder, shelf):
    first = await jobs.run(ArtifactHandler(), jobs.artifact("one", release=1))
    again = await jobs.run(ArtifactHandler(), jobs.artifact("one", release=2))
    assert again.artifact.tracking_oci_digest == first.artifact.tracking_oci_digest
    builder.reproducible = False
    with pytest.raises(AlreadyExists, match="a new commit is needed") as caught:
        await jobs.run(ArtifactHandler(), jobs.artifact("two", release=3))
    assert caught.value.existing_digest == first.artifact.digest
    assert not [key for key in shelf.content if key[0] == "two"]


@pytest.mark.usefixtures("no_sbom")
async def test_an_expired_copy_is_built_again(jobs, builder, storage):
    job = jobs.artifact("one")
    first = await jobs.run(ArtifactHandler(), job)
    files = [key for key in await storage.list("artifact-staging/") if key.endswith(".zip")]
    assert len(files) == 1
    await storage.delete(files)
    assert (await jobs.run(ArtifactHandler(), job)).artifact.digest == first.artifact.digest
    assert builder.builds == 2


@pytest.mark.usefixtures("no_sbom")
async def test_a_conflict_at_one_target_is_recorded_and_fails_nothing_else(jobs, shelf, platform_api):
    other = "sha256:" + "0" * 64
    shelf.content["two", "tool.zip"] = other
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one", "two"))
    one, two = output.artifact.publishers
    assert one.succeeded
    assert two.error.context == {"existing_digest": other, "digest": output.artifact.digest}
    assert platform_api.ledger["two", "tool.zip"] == ["planned", "conflict"]
    assert shelf.content["two", "tool.zip"] == other
    assert "publisher two failed" in output.warnings[-1]


@pytest.mark.usefixtures("no_sbom")
@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [
        (TransientError("the target is down"), "unavailable", True),
        (LookupError("a defect"), "publish_failed", False),
        (AuthenticationError("wrong token"), "permission_denied", False),
        (TimeoutError(), "unavailable", True),
    ],
)
async def test_a_failing_publisher_is_recorded(jobs, shelf, platform_api, error, code, transient):
    shelf.errors["one"] = error
    (result,) = (await jobs.run(ArtifactHandler(), jobs.artifact("one"))).artifact.publishers
    assert (result.error.code, result.error.transient) == (code, transient)
    assert result.error.component == "one"
    assert platform_api.ledger["one", "tool.zip"] == ["planned", "failed"]


@pytest.mark.usefixtures("no_sbom")
async def test_publishers_run_in_parallel(jobs, shelf):
    shelf.barrier = asyncio.Barrier(3)
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one", "two", "three"))
    assert all(result.succeeded for result in output.artifact.publishers)


@pytest.mark.usefixtures("no_sbom")
async def test_without_a_truthful_ledger_nothing_is_published(jobs, shelf, platform_api):
    platform_api.stale = True
    with pytest.raises(PlatformError) as caught:
        await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert caught.value.code is ErrorCode.STALE_TOKEN
    assert not shelf.content


@pytest.mark.parametrize("error", [ConfigurationError("no such shelf"), AuthenticationError("wrong token")])
async def test_preflight_stops_before_the_build(jobs, shelf, builder, error):
    shelf.preflight_error = error
    with pytest.raises(type(error)):
        await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert builder.builds == 0


@pytest.mark.usefixtures("no_sbom")
@pytest.mark.parametrize("error", [TransientError("unreachable"), LookupError("a defect")])
async def test_what_preflight_cannot_tell_is_a_warning(jobs, shelf, error):
    shelf.preflight_error = error
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert output.warnings[0].startswith("preflight of one: ")
    assert output.artifact.publishers[0].succeeded


async def test_wrong_configurations_are_found_before_the_build(jobs, builder):
    job = jobs.artifact("one")
    job.payload["publishers"][0]["configuration"] = {"shelve": "one"}
    with pytest.raises(ConfigurationError, match="shelf"):
        await jobs.run(ArtifactHandler(), job)
    job = jobs.artifact("one")
    job.payload["artifact"]["configuration"] = {"colour": "red"}
    with pytest.raises(ConfigurationError, match="colour"):
        await jobs.run(ArtifactHandler(), job)
    job = jobs.artifact("one")
    job.payload["publishers"] = []
    with pytest.raises(ConfigurationError, match="does not define"):
        await jobs.run(ArtifactHandler(), job)
    assert builder.builds == 0


@pytest.mark.usefixtures("no_sbom")
async def test_a_bad_signing_key_leaves_nothing_published(jobs, shelf, tmp_path, configuration):
    (tmp_path / "forge.key").write_text("no key")
    with pytest.raises(PlatformError) as caught:
        await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert caught.value.code is ErrorCode.SIGNING_FAILED
    assert not shelf.content
    assert await jobs.services.registry.resolve(tracking_repository(configuration), f"sha-{jobs.commit}") is None


def tracking_repository(configuration):
    return f"{configuration.registry.tracking_prefix}/acme/shop/api/tool"


@pytest.mark.usefixtures("no_sbom")
async def test_nothing_is_found_or_published_before_the_copy_is_complete(
    jobs, shelf, configuration, monkeypatch, eventually
):
    services, signed, go = jobs.services, [], asyncio.Event()
    put_file, sign_statement = services.storage.put_file, services.signer.sign_statement

    async def slow(*arguments, **values):
        await go.wait()
        await put_file(*arguments, **values)

    async def sign(statement):
        signed.append(statement)
        return await sign_statement(statement)

    monkeypatch.setattr(services.storage, "put_file", slow)
    monkeypatch.setattr(services.signer, "sign_statement", sign)
    registry, repository = services.registry, tracking_repository(configuration)
    running = asyncio.create_task(jobs.run(ArtifactHandler(), jobs.artifact("one")))
    await eventually(lambda: len(signed) == 2, "signature and provenance of the tracking image")
    assert await registry.resolve(repository, f"sha-{jobs.commit}") is None
    assert not shelf.content
    go.set()
    output = await running
    assert await registry.resolve(repository, f"sha-{jobs.commit}") == output.artifact.tracking_oci_digest


@pytest.mark.usefixtures("no_sbom")
async def test_a_copy_that_fails_leaves_nothing_published(jobs, shelf, configuration, monkeypatch):
    async def full(*arguments, **values):
        raise PlatformError("no room", code=ErrorCode.STORAGE_FAILED)

    monkeypatch.setattr(jobs.services.storage, "put_file", full)
    with pytest.raises(PlatformError, match="no room"):
        await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert not shelf.content
    assert await jobs.services.registry.resolve(tracking_repository(configuration), f"sha-{jobs.commit}") is None


@pytest.mark.usefixtures("no_sbom")
async def test_an_unreachable_signer_is_told_to_the_platform(jobs, make_services, platform_api, shelf):
    class Away:
        async def public_key(self):
            raise TransientError("no route")

        sign_statement = public_key

    services = {name: getattr(jobs.services, name) for name in ("storage", "api", "registry", "observer")}
    jobs.services = make_services(**services, signer=Away())
    with pytest.raises(TransientError) as caught:
        await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert caught.value.code is ErrorCode.SIGNING_FAILED
    assert platform_api.states[-1] == "awaiting_signature"
    assert not shelf.content


@pytest.mark.usefixtures("no_sbom")
async def test_a_failing_build_tells_where_its_log_is(jobs, builder):
    def fail(staging, files):
        raise PlatformError("make failed", code=ErrorCode.BUILD_FAILED)

    builder.flaw = fail
    with pytest.raises(PlatformError) as caught:
        await jobs.run(ArtifactHandler(), jobs.artifact())
    assert caught.value.context["logs_key"].endswith("/artifact/api/tool.log")
    assert "building tool" in caught.value.context["log_tail"]


def files_of_jobs(configuration):
    """What jobs left in their folders; empty ones wait for the next job."""
    found = (configuration.cache.workspace / "private").rglob("*")
    return [path for path in found if not path.is_dir() and path.suffix != ".lock"]


@pytest.mark.usefixtures("no_sbom")
async def test_nothing_is_left_on_disk(jobs, configuration, builder, observer):
    await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    observer.stop_at = "artifact.scan:before"
    with pytest.raises(Exception, match="scan"):
        await jobs.run(ArtifactHandler(), jobs.artifact("one", release=9))
    assert not builder.staging.exists()
    assert files_of_jobs(configuration) == []


@pytest.mark.usefixtures("no_sbom")
async def test_secrets_of_publishers_are_in_no_result_and_no_log(jobs, shelf, platform_api, storage):
    job = jobs.artifact("one")
    reference = {"provider": "vault", "path": "publishers/acme/Shop/token"}
    job.payload["publishers"][0]["credentials"] = reference

    async def leak(request, context):
        secret = await context.secret(SecretReference.model_validate(request.repo_config["credentials"]))
        context.logger.info("using %s", secret.reveal())
        raise LookupError(f"refused {secret.reveal()}")

    shelf.publish = leak
    output = await jobs.run(ArtifactHandler(), job)
    assert output.artifact.publishers[0].error.message == "LookupError: refused ***"
    log = await storage.get(output.logs_key, limit=10_000)
    assert b"using ***" in log
    assert "the-token" not in f"{output.model_dump_json()}{platform_api.requests}{log.decode()}"


@pytest.mark.usefixtures("no_sbom")
async def test_a_cancelled_job_leaves_no_folder_and_no_process(jobs, shelf, configuration):
    shelf.barrier = asyncio.Barrier(2)
    task = asyncio.create_task(jobs.run(ArtifactHandler(), jobs.artifact("one")))
    async with asyncio.timeout(30):
        while not shelf.barrier.n_waiting:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_of_jobs(configuration) == []
