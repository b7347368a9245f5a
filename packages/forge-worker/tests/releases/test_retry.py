"""What a repeated or retried job does, and what it leaves alone."""

import pytest

from forge_oci.core.publications import PUBLICATIONS_TYPE, newest_publications, unpack_publications
from forge_oci.registry import KeySigner
from forge_sdk.errors import AlreadyExists, ErrorCode, PlatformError, TransientError
from forge_sdk.models.statuses import PublicationState
from forge_worker import sbom
from forge_worker.handlers.artifact import ArtifactHandler

pytestmark = pytest.mark.usefixtures("no_sbom")


class UnreachableSigner:
    """A signer that nobody can reach."""

    async def public_key(self):
        raise TransientError("no route to the signer")

    sign_statement = public_key


def with_signer(jobs, make_services, signer):
    names = ("storage", "api", "registry", "observer")
    jobs.services = make_services(**{name: getattr(jobs.services, name) for name in names}, signer=signer)


async def _rows(jobs, record):
    repository = record.tracking_oci_uri.partition(":")[0]
    client, subject = jobs.services.registry, record.tracking_oci_digest
    newest = newest_publications(await client.referrers(repository, subject, PUBLICATIONS_TYPE))
    return unpack_publications(await client.pull(repository, newest.digest), subject)


async def test_a_retry_calls_unfinished_publishers_only(jobs, shelf, platform_api, builder):
    shelf.errors["two"] = TransientError("the target is down")
    first = (await jobs.run(ArtifactHandler(), jobs.artifact("one", "two"))).artifact
    shelf.errors = {"one": AssertionError("called again")}
    platform_api.requests.clear()
    standing = tuple(result for result in first.publishers if result.succeeded)
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one", "two", published=standing))
    assert [result.uri for result in output.artifact.publishers] == ["shelf://one", "shelf://two"]
    assert platform_api.ledger == {("two", "tool.zip"): ["planned", "published"]}
    assert (builder.builds, set(shelf.writes.values()), output.warnings) == (1, {1}, ())
    states = {row["publisher"]: row["state"] for row in await _rows(jobs, output.artifact)}
    assert states == {"one": "published", "two": "published"}


async def test_what_was_given_up_is_left_alone_and_told(jobs, shelf, platform_api):
    shelf.errors["two"] = PlatformError("the target is gone", code=ErrorCode.PUBLISH_FAILED)
    first = (await jobs.run(ArtifactHandler(), jobs.artifact("one", "two"))).artifact
    (file,) = first.publishers[1].files
    given_up = first.publishers[1].model_copy(
        update={"files": (file.model_copy(update={"state": PublicationState.GIVEN_UP}),)}
    )
    platform_api.requests.clear()
    job = jobs.artifact("one", "two", published=(given_up, first.publishers[0]))
    output = await jobs.run(ArtifactHandler(), job)
    assert [result.publisher for result in output.artifact.publishers] == ["one", "two"]
    assert not output.artifact.publishers[1].succeeded
    assert platform_api.ledger == {}
    states = {row["publisher"]: row["state"] for row in await _rows(jobs, output.artifact)}
    assert states == {"one": "published", "two": "given-up"}


async def test_a_preflight_of_finished_publishers_is_not_repeated(jobs, shelf):
    first = (await jobs.run(ArtifactHandler(), jobs.artifact("one"))).artifact
    shelf.preflight_error = AssertionError("asked again")
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one", published=first.publishers))
    assert output.artifact == first


async def test_a_rebuild_that_gives_the_same_goes_on(jobs, builder):
    first = (await jobs.run(ArtifactHandler(), jobs.artifact("one"))).artifact
    again = (await jobs.run(ArtifactHandler(), jobs.artifact("one", rebuild=True))).artifact
    assert (again.digest, again.tracking_oci_digest) == (first.digest, first.tracking_oci_digest)
    assert builder.builds == 2


async def test_a_rebuild_that_differs_needs_a_new_commit_and_spoils_nothing(jobs, builder, shelf):
    builder.reproducible = False
    first = (await jobs.run(ArtifactHandler(), jobs.artifact("one"))).artifact
    with pytest.raises(AlreadyExists, match="a new commit is needed") as caught:
        await jobs.run(ArtifactHandler(), jobs.artifact("one", "two", rebuild=True))
    assert caught.value.existing_digest == first.digest
    assert not [key for key in shelf.content if key[0] == "two"]
    # The sealed copy is still the one that was sealed: an ordinary retry goes on with it.
    again = (await jobs.run(ArtifactHandler(), jobs.artifact("one", "two"))).artifact
    assert again.digest == first.digest
    assert shelf.content["two", "tool.zip"] == first.digest


async def test_results_of_another_content_are_refused(jobs, shelf):
    first = (await jobs.run(ArtifactHandler(), jobs.artifact("one"))).artifact
    (file,) = first.publishers[0].files
    other = file.model_copy(update={"digest": "sha256:" + "0" * 64})
    stale = first.publishers[0].model_copy(update={"files": (other,)})
    with pytest.raises(AlreadyExists, match="not reproducible"):
        await jobs.run(ArtifactHandler(), jobs.artifact("one", "two", published=(stale,)))
    assert not [key for key in shelf.content if key[0] == "two"]


async def test_a_signer_that_is_down_is_waited_for_without_a_rebuild(
    jobs, make_services, shelf, builder, tmp_path, platform_api
):
    builder.reproducible = False
    with_signer(jobs, make_services, UnreachableSigner())
    for _ in range(2):
        with pytest.raises(TransientError, match="no route"):
            await jobs.run(ArtifactHandler(), jobs.artifact("one"))
        assert platform_api.states[-1] == "awaiting_signature"
        assert not shelf.content
    with_signer(jobs, make_services, KeySigner(tmp_path / "forge.key"))
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one"))
    assert builder.builds == 1
    assert shelf.content == {("one", "tool.zip"): output.artifact.digest}
    assert platform_api.states[-2:] == ["sealed", "publishing"]


async def test_a_retry_of_a_sealed_artifact_scans_nothing(jobs, monkeypatch):
    first = (await jobs.run(ArtifactHandler(), jobs.artifact("one"))).artifact
    monkeypatch.setattr(sbom, "syft_program", lambda: pytest.fail("scanned again"))
    output = await jobs.run(ArtifactHandler(), jobs.artifact("one", "two"))
    assert output.artifact.tracking_oci_digest == first.tracking_oci_digest
    assert output.warnings == ()
