"""One image, three readers: our plugin, and what Argo CD's and Flux's documentation say about OCI sources.

Argo CD (user guide, OCI): an image manifest with exactly one layer whose media type is among the accepted ones; the layer's
archive is the source directory, of which the manifests (YAML and JSON) are applied. Flux (OCIRepository): without a selector the first layer, with
one the first of that media type, extracted as tar and gzip.
"""

import gzip
import io
import json
import tarfile

import pytest
import yaml

OCI_NAME = "acme/shop/api"
ARGO_CD_LAYER_TYPES = {
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
}
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


async def _manifest(registry, digest):
    content = json.loads((await registry.pull_manifest(OCI_NAME, digest)).manifest_bytes)
    assert (content["schemaVersion"], content["mediaType"]) == (2, MANIFEST_TYPE)
    return content


async def _layer(registry, digest, descriptor):
    image = await registry.pull(OCI_NAME, digest)
    return image.blobs[descriptor["digest"]]


async def argo_cd(registry, digest):
    """The single layer, of an accepted type."""
    layers = (await _manifest(registry, digest))["layers"]
    (layer,) = layers
    assert layer["mediaType"] in ARGO_CD_LAYER_TYPES
    return _extracted(await _layer(registry, digest, layer))


async def flux(registry, digest, selector=None):
    """The first layer, or the first one of the selector's media type."""
    layers = (await _manifest(registry, digest))["layers"]
    layer = next(layer for layer in layers if selector in {None, layer["mediaType"]})
    return _extracted(await _layer(registry, digest, layer))


def _extracted(layer):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as archive:
        members = archive.getmembers()
        assert all(member.isreg() or member.isdir() for member in members)
        assert all(member.mode & 0o444 == 0o444 and (member.uid, member.gid) == (0, 0) for member in members)
        return {member.name: archive.extractfile(member).read() for member in members if member.isreg()}


def _objects(texts):
    found = [document for text in texts for document in yaml.safe_load_all(text) if document]
    return sorted(found, key=lambda o: (o["kind"], o["metadata"]["name"], o["metadata"].get("namespace", "")))


async def test_three_readers_find_the_same_resources(application, publish, registry):
    digest = await publish()
    application.point(digest)
    ours = application.run()
    assert ours.status == 0, ours.stderr
    by_argo_cd = await argo_cd(registry, digest)
    assert by_argo_cd == await flux(registry, digest)
    assert by_argo_cd == await flux(registry, digest, "application/vnd.oci.image.layer.v1.tar+gzip")
    assert _objects(by_argo_cd.values()) == list(yaml.safe_load_all(ours.stdout))


async def test_the_text_of_every_document_is_left_as_it_was(application, publish, registry):
    """Byte for byte: a tool that compares text sees no difference between the readers."""
    objects = [{"apiVersion": "v1", "kind": kind, "metadata": {"name": "größe"}} for kind in ("Secret", "ConfigMap")]
    digest = await publish({"a.yaml": yaml.safe_dump_all(objects, allow_unicode=True).encode()})
    application.point(digest)
    files = await argo_cd(registry, digest)
    theirs = {part.strip() for text in files.values() for part in text.decode().split("---\n") if part.strip()}
    ours = {part.strip() for part in application.run().stdout.split("---\n") if part.strip()}
    assert ours == theirs


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
async def test_every_file_is_one_that_all_readers_apply(application, publish, registry, suffix):
    content = b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}\n'
    digest = await publish({f"folder/a{suffix}": content})
    application.point(digest)
    assert list(await argo_cd(registry, digest)) == [f"folder/a{suffix}"]
    assert yaml.safe_load(application.run().stdout)["metadata"] == {"name": "a"}
