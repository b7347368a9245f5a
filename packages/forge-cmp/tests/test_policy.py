import pytest

from forge_oci.core.statement import SPDX_PREDICATE
from forge_oci.registry import KeySigner, sign_image

OTHER_DIGEST = "sha256:" + "e" * 64


def _refused(run, code):
    assert (run.status, run.stdout, run.code) == (1, "", code), run.stderr
    assert "Traceback" not in run.stderr


async def test_a_release_whose_artifacts_are_sealed_is_printed(application, publish, seal, registry):
    application.point(await publish(artifacts=[await seal("tool"), await seal("image")]))
    assert application.run(FORGE_ALLOWED_REFS="refs/tags/*, refs/heads/main").status == 0
    registry.server.stop_blocking()
    assert application.run(FORGE_ALLOWED_REFS="refs/heads/main,refs/tags/*").status == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"sign": False, "attest_it": False}, "artifact_bundle_missing"),
        ({"sign": False}, "artifact_wrong_predicate_type"),
        ({"attest_it": False}, "provenance_wrong_predicate_type"),
        ({"predicate_type": SPDX_PREDICATE}, "provenance_wrong_predicate_type"),
        ({"predicate_type": "https://slsa.dev/provenance/v0.2"}, "provenance_wrong_predicate_type"),
        ({"repository": "acme/other"}, "provenance_wrong_repository"),
        ({"project": "web"}, "provenance_wrong_project"),
        ({"commit": "f" * 40}, "provenance_wrong_commit"),
        ({"about": OTHER_DIGEST}, "provenance_wrong_artifact"),
    ],
)
async def test_each_broken_link_has_its_code(application, publish, seal, options, code):
    application.point(await publish(artifacts=[await seal("good"), await seal("tool", **options)]))
    run = application.run()
    _refused(run, code)
    assert "artifact tool" in run.stderr
    assert "acme/shop/api/tool@sha256:" in run.stderr


@pytest.mark.parametrize(
    ("option", "code"), [("signed_with", "artifact_unknown_key"), ("attested_with", "provenance_unknown_key")]
)
async def test_other_keys_do_not_count(application, publish, seal, other_key, option, code):
    application.point(await publish(artifacts=[await seal(**{option: other_key[0]})]))
    _refused(application.run(), code)


async def test_a_stranger_who_adds_signatures_hides_nothing(application, publish, seal, registry, other_key):
    entry = await seal()
    image = await registry.pull_manifest("acme/shop/api/tool", entry["tracking"]["digest"])
    for _ in range(3):
        await sign_image(registry, "acme/shop/api/tool", image.descriptor, KeySigner(other_key[0]))
    application.point(await publish(artifacts=[entry]))
    assert application.run().status == 0


async def test_a_tracking_image_of_another_commit_does_not_count(application, publish, seal):
    entry, other = await seal(), await seal("other", commit="f" * 40)
    application.point(await publish(artifacts=[{**entry, "tracking": other["tracking"]}]))
    _refused(application.run(), "artifacts_invalid")


@pytest.mark.parametrize(
    ("ref", "allowed", "code"),
    [
        ("refs/heads/topic", "refs/heads/main", "ref_not_allowed"),
        ("refs/heads/main", "refs/heads/ma", "ref_not_allowed"),
        ("refs/tags/v1", "refs/heads/*", "ref_not_allowed"),
        (None, "refs/heads/main", "ref_unknown"),
    ],
)
async def test_only_allowed_refs_are_printed(application, publish, seal, ref, allowed, code):
    application.point(await publish(artifacts=[await seal(ref=ref)]))
    assert application.run().status == 0
    _refused(application.run(FORGE_ALLOWED_REFS=allowed), code)


async def test_a_release_without_artifacts_has_no_ref(application, publish):
    application.point(await publish(artifacts=[]))
    assert application.run().status == 0
    _refused(application.run(FORGE_ALLOWED_REFS="refs/heads/main"), "ref_unknown")


@pytest.mark.parametrize(
    "artifacts",
    [
        None,
        {},
        [1],
        [{"name": "../x"}],
        [
            {
                "name": "tool",
                "digest": "sha256:short",
                "tracking": {"uri": "acme/shop/api/tool:1", "digest": OTHER_DIGEST},
            }
        ],
        [{"name": "tool", "digest": OTHER_DIGEST, "tracking": {"uri": "acme/evil/api/tool:1", "digest": OTHER_DIGEST}}],
        [
            {
                "name": "tool",
                "digest": OTHER_DIGEST,
                "tracking": {"uri": "x/../acme/shop/api/tool", "digest": OTHER_DIGEST},
            }
        ],
    ],
)
async def test_metadata_that_names_no_artifacts_is_refused(application, publish, artifacts):
    application.point(await publish(artifacts=artifacts))
    _refused(application.run(), "artifacts_invalid")


async def test_a_verdict_counts_under_its_policy_only(application, publish, seal):
    application.point(await publish(artifacts=[await seal(attest_it=False)]))
    assert application.run(FORGE_REQUIRE_PROVENANCE="false").status == 0
    _refused(application.run(), "provenance_wrong_predicate_type")


@pytest.mark.parametrize(
    ("changes", "file"),
    [
        ({"FORGE_REQUIRE_SIGNATURE": "false", "FORGE_REQUIRE_PROVENANCE": "true"}, "FORGE_REQUIRE_PROVENANCE"),
        ({"FORGE_REQUIRE_PROVENANCE": "false", "FORGE_ALLOWED_REFS": "refs/heads/main"}, "FORGE_ALLOWED_REFS"),
    ],
)
async def test_policies_that_cannot_hold_are_named(application, changes, file):
    application.point("sha256:" + "0" * 64)
    assert application.run(**changes).stderr.startswith(f"forge-cmp: {file}: configuration_invalid: ")
