import pytest

from forge_oci.core.bundle import build_bundle, pack_bundle
from forge_oci.core.image import Image
from forge_oci.core.keys import PrivateKey
from forge_oci.core.manifest import EMPTY_CONFIG, EMPTY_DESCRIPTOR, Manifest
from forge_oci.core.statement import PROVENANCE_PREDICATE, SPDX_PREDICATE, encode_statement, sign_statement
from forge_oci.registry import KeySigner, attest, sign_image, verify_image
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError, TransientError

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
CREATED = "2026-01-01T00:00:00Z"
OTHER = "sha256:" + "0" * 64


@pytest.fixture
async def pushed(client, repository, release):
    await client.push(release, repository, ["v1"])
    return release


async def attach(client, repository, image, statement, *, key, hint=None):
    content = build_bundle(statement, key.sign, hint or key.public_key.hint)
    await client.attach(pack_bundle(content, image.descriptor, created=CREATED), repository)


async def refusal(client, repository, digest, key, **options):
    with pytest.raises(PlatformError) as caught:
        await verify_image(client, repository, digest, [key.public_key], **options)
    assert caught.value.code is ErrorCode.SIGNATURE_INVALID
    return caught.value.context["reason"]


async def test_a_signed_image_holds(client, repository, pushed, key_file, key):
    await sign_image(client, repository, pushed.descriptor, KeySigner(key_file))
    statement = await verify_image(
        client, repository, pushed.digest, [PrivateKey.generate().public_key, key.public_key]
    )
    assert statement.subjects == (pushed.digest,)


async def test_signing_again_adds_nothing(client, repository, pushed, key_file):
    first = await sign_image(client, repository, pushed.descriptor, KeySigner(key_file))
    second = await sign_image(client, repository, pushed.descriptor, KeySigner(key_file))
    assert first.digest == second.digest
    assert len(await client.referrers(repository, pushed.digest, BUNDLE_TYPE)) == 1


async def test_an_unsigned_image_is_refused(client, repository, pushed, key):
    assert await refusal(client, repository, pushed.digest, key) == "bundle_missing"


async def test_a_stranger_is_refused(client, repository, pushed, key):
    await attach(client, repository, pushed, sign_statement(pushed.digest), key=PrivateKey.generate())
    assert await refusal(client, repository, pushed.digest, key) == "unknown_key"


async def test_a_forged_signature_is_refused(client, repository, pushed, key):
    forger = PrivateKey.generate()
    await attach(client, repository, pushed, sign_statement(pushed.digest), key=forger, hint=key.public_key.hint)
    assert await refusal(client, repository, pushed.digest, key) == "signature_invalid"


async def test_an_attestation_is_not_a_signature(client, repository, pushed, key, key_file):
    statement = encode_statement([(None, pushed.digest)], SPDX_PREDICATE, {"a": 1})
    await attest(client, repository, pushed.descriptor, statement, KeySigner(key_file))
    assert await refusal(client, repository, pushed.digest, key) == "wrong_predicate_type"
    assert await verify_image(client, repository, pushed.digest, [key.public_key], predicate_type=SPDX_PREDICATE)


async def test_a_signature_of_another_image_is_refused(client, repository, pushed, key):
    await attach(client, repository, pushed, sign_statement(OTHER), key=key)
    assert await refusal(client, repository, pushed.digest, key) == "wrong_subject"


async def test_a_malformed_bundle_is_refused(client, repository, pushed, key):
    manifest = Manifest(EMPTY_DESCRIPTOR, (EMPTY_DESCRIPTOR,), BUNDLE_TYPE, pushed.descriptor)
    await client.attach(Image(manifest.encode(), {EMPTY_DESCRIPTOR.digest: EMPTY_CONFIG}), repository)
    assert await refusal(client, repository, pushed.digest, key) == "bundle_malformed"


async def test_a_bad_referrer_does_not_hide_a_good_one(client, repository, pushed, key, key_file):
    await attach(client, repository, pushed, sign_statement(OTHER), key=PrivateKey.generate())
    await sign_image(client, repository, pushed.descriptor, KeySigner(key_file))
    assert await verify_image(client, repository, pushed.digest, [key.public_key])


async def test_without_keys_nothing_holds(client, repository, pushed, key_file):
    await sign_image(client, repository, pushed.descriptor, KeySigner(key_file))
    with pytest.raises(PlatformError) as caught:
        await verify_image(client, repository, pushed.digest, [])
    assert caught.value.context["reason"] == "no_public_key"


async def test_a_key_that_is_away_may_come_back_but_a_bad_one_is_final(client, repository, pushed, key_file):
    signer = KeySigner(key_file.with_name("late"))
    with pytest.raises(TransientError, match="put it back") as away:
        await sign_image(client, repository, pushed.descriptor, signer)
    key_file.with_name("late").write_text("no key")
    with pytest.raises(ConfigurationError, match="is none") as bad:
        await sign_image(client, repository, pushed.descriptor, signer)
    assert {away.value.code, bad.value.code} == {ErrorCode.SIGNING_FAILED}
    key_file.with_name("late").write_bytes(key_file.read_bytes())
    assert await sign_image(client, repository, pushed.descriptor, signer)


async def test_a_statement_about_something_else_is_not_attached(client, repository, pushed, key_file):
    with pytest.raises(ConfigurationError):
        await attest(client, repository, pushed.descriptor, sign_statement(OTHER), KeySigner(key_file))


async def test_cosign_verifies_our_signature(client, repository, pushed, key_file, cosign):
    await sign_image(client, repository, pushed.descriptor, KeySigner(key_file))
    result = cosign(*verify_arguments(client, repository, pushed, key_file.with_suffix(".pub")))
    assert result.returncode == 0, result.stderr


async def test_cosign_refuses_another_key(client, repository, pushed, key_file, cosign):
    other = key_file.with_name("other.pub")
    other.write_bytes(PrivateKey.generate().public_key.pem)
    await sign_image(client, repository, pushed.descriptor, KeySigner(key_file))
    assert cosign(*verify_arguments(client, repository, pushed, other)).returncode != 0


async def test_cosign_verifies_our_attestation(client, repository, pushed, key_file, cosign):
    predicate = {
        "buildDefinition": {"buildType": "x", "externalParameters": {}},
        "runDetails": {"builder": {"id": "x"}},
    }
    statement = encode_statement([("release", pushed.digest)], PROVENANCE_PREDICATE, predicate)
    await attest(client, repository, pushed.descriptor, statement, KeySigner(key_file))
    arguments = verify_arguments(client, repository, pushed, key_file.with_suffix(".pub"))
    result = cosign("verify-attestation", "--type", "slsaprovenance1", *arguments[1:])
    assert result.returncode == 0, result.stderr


async def test_we_verify_a_signature_of_cosign(client, repository, pushed, key_file, cosign):
    imported = cosign(
        "import-key-pair", "--key", str(key_file), "--output-key-prefix", str(key_file.with_name("imported"))
    )
    assert imported.returncode == 0, imported.stderr
    signed = cosign(
        *(
            "sign",
            "--key",
            str(key_file.with_name("imported.key")),
            "--use-signing-config=false",
            "--tlog-upload=false",
            "-y",
        ),
        *("--allow-http-registry", f"{client.host}/{repository}@{pushed.digest}"),
    )
    assert signed.returncode == 0, signed.stderr
    assert await verify_image(client, repository, pushed.digest, [PrivateKey.from_file(key_file).public_key])


def verify_arguments(client, repository, image, public_key):
    reference = f"{client.host}/{repository}@{image.digest}"
    return ("verify", "--key", str(public_key), "--insecure-ignore-tlog", "--allow-http-registry", reference)
