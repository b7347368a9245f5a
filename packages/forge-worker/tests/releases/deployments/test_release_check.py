"""A pointer names only release images that are signed, whole, and of its release."""

import pytest

from forge_oci.core.keys import write_key_pair
from forge_oci.core.release import pack_release
from forge_oci.registry import KeySigner, sign_image
from forge_sdk.errors import ErrorCode, PlatformError, TransientError

COMMIT = "a" * 40
METADATA = {"repository": "acme/shop", "project": "api", "source": {"commit": COMMIT}, "artifacts": []}


@pytest.fixture
def release_image(jobs, configuration, tmp_path):
    """Pushes a release image and returns the hexadecimal part of its digest."""

    async def push(*, key=tmp_path / "forge.key", **changes):
        client = jobs.services.registry
        repository = f"{configuration.registry.release_prefix}/acme/shop/api"
        image = pack_release({**METADATA, **changes}, {"a.yaml": b"kind: ConfigMap\n"})
        await client.push(image, repository)
        if key is not None:
            await sign_image(client, repository, image.descriptor, KeySigner(key))
        return image

    return push


@pytest.fixture
def deploy_image(deploy, pointer):
    async def run(digest, **fields):
        return await deploy(pointer(release=COMMIT, digest=digest.removeprefix("sha256:")), signed=True, **fields)

    return run


async def test_a_signed_release_is_deployed(deploy_image, release_image):
    assert (await deploy_image((await release_image()).digest)).changed


async def test_an_unsigned_release_is_refused(deploy_image, release_image, gitops_remote):
    before = gitops_remote.commits()
    image = await release_image(key=None)
    with pytest.raises(PlatformError, match="may not be deployed") as caught:
        await deploy_image(image.digest)
    assert caught.value.code is ErrorCode.DEPLOYMENT_REFUSED
    assert caught.value.context["reason"] == "bundle_missing"
    assert gitops_remote.commits() == before


async def test_a_release_that_a_stranger_signed_is_refused(deploy_image, release_image, tmp_path):
    write_key_pair(tmp_path / "other.key", tmp_path / "other.pub")
    image = await release_image(key=tmp_path / "other.key")
    with pytest.raises(PlatformError) as caught:
        await deploy_image(image.digest)
    assert caught.value.context["reason"] == "unknown_key"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repository": "acme/other"}, "another repository"),
        ({"project": "web"}, "another project"),
        ({"source": {"commit": "b" * 40}}, "another commit"),
        ({"source": None}, "another commit"),
    ],
)
async def test_a_signed_release_of_something_else_is_refused(deploy_image, release_image, changes, words):
    image = await release_image(**changes)
    with pytest.raises(PlatformError, match=words) as caught:
        await deploy_image(image.digest)
    assert caught.value.code is ErrorCode.DEPLOYMENT_REFUSED


async def test_an_image_that_was_tampered_with_is_refused(deploy_image, release_image, oci_registry, gitops_remote):
    before = gitops_remote.commits()
    image = await release_image()
    layer = image.manifest.layers[0].digest.removeprefix("sha256:")
    for data in oci_registry.directory.glob(f"blobs/**/sha256/{layer[:2]}/{layer}/data"):
        content = data.read_bytes()
        try:
            data.write_bytes(bytes(len(content)))
            with pytest.raises(PlatformError) as caught:
                await deploy_image(image.digest)
        finally:
            data.write_bytes(content)
        assert caught.value.code is ErrorCode.DEPLOYMENT_REFUSED
    assert gitops_remote.commits() == before
    assert (await deploy_image(image.digest, number=2)).changed


async def test_an_image_that_is_not_there_is_refused(deploy_image):
    with pytest.raises(PlatformError) as caught:
        await deploy_image("sha256:" + "f" * 64)
    assert caught.value.code is ErrorCode.DEPLOYMENT_REFUSED


async def test_a_registry_that_is_down_is_no_verdict(deploy_image, jobs, monkeypatch):
    async def down(*_, **__):
        raise TransientError("the registry is down")

    monkeypatch.setattr(jobs.services.registry, "referrers", down)
    with pytest.raises(TransientError, match="is down"):
        await deploy_image("sha256:" + "f" * 64)
