import io
import tarfile
import zlib

import pytest

from forge_oci.core.canonical import encode_json
from forge_oci.core.digests import digest_bytes
from forge_oci.core.image import Image
from forge_oci.core.manifest import LAYER_TYPE_ANNOTATION, Descriptor, Manifest
from forge_oci.core.release import ARTIFACT_TYPE, METADATA_TYPE, RESOURCES_TYPE, pack_release
from forge_oci.core.statement import encode_statement
from forge_oci.registry import KeySigner, attest, sign_image

OCI_NAME = "acme/shop/api"
METADATA = {
    "repository": "acme/Shop",
    "project": "api",
    "source": {"commit": "0123456789abcdef0123456789abcdef01234567"},
    "artifacts": [],
}
OBJECT = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def _refused(run, code):
    assert run.status == 1
    assert run.stdout == ""
    assert run.code == code
    assert "Traceback" not in run.stderr


async def test_an_unsigned_release_is_refused(application, publish):
    application.point(await publish(sign=False))
    _refused(application.run(), "bundle_missing")
    assert application.run(FORGE_REQUIRE_SIGNATURE="false").status == 0
    # What was printed without a signature is no verdict for a run that needs one.
    _refused(application.run(), "bundle_missing")


async def test_a_signature_by_another_key_is_refused(application, publish, registry, other_key):
    digest = await publish(sign=False)
    image = await registry.pull_manifest(OCI_NAME, digest)
    await sign_image(registry, OCI_NAME, image.descriptor, KeySigner(other_key[0]))
    application.point(digest)
    _refused(application.run(), "unknown_key")


async def test_a_good_signature_is_found_among_bad_ones(application, publish, registry, other_key, signing_key):
    digest = await publish(sign=False)
    image = await registry.pull_manifest(OCI_NAME, digest)
    await sign_image(registry, OCI_NAME, image.descriptor, KeySigner(other_key[0]))
    await sign_image(registry, OCI_NAME, image.descriptor, KeySigner(signing_key[0]))
    application.point(digest)
    assert application.run().status == 0


async def test_another_statement_is_no_signature(application, publish, registry, signing_key):
    digest = await publish(sign=False)
    image = await registry.pull_manifest(OCI_NAME, digest)
    statement = encode_statement([(None, digest)], "https://example.com/other", {"a": 1})
    await attest(registry, OCI_NAME, image.descriptor, statement, KeySigner(signing_key[0]))
    application.point(digest)
    _refused(application.run(), "wrong_predicate_type")


async def test_a_removed_key_takes_its_verdicts_with_it(application, publish, other_key):
    application.point(await publish())
    assert application.run().status == 0
    _refused(application.run(FORGE_PUBLIC_KEY_FILES=str(other_key[1])), "unknown_key")


@pytest.mark.parametrize(
    "metadata", [{"repository": "acme/other"}, {"project": "web"}, {"source": {"commit": "f" * 40}}, {"source": None}]
)
async def test_a_signed_release_of_something_else_is_refused(application, publish, metadata):
    application.point(await publish(**metadata))
    _refused(application.run(), "release_mismatch")


def _image(layer, *, layer_type=RESOURCES_TYPE, artifact_type=ARTIFACT_TYPE, config_type=METADATA_TYPE, layers=1):
    descriptor = Descriptor(layer_type, digest_bytes(layer), len(layer), {LAYER_TYPE_ANNOTATION: "resources"})
    content = encode_json({**METADATA, "resources": {"digest": descriptor.digest}})
    config = Descriptor(config_type, digest_bytes(content), len(content))
    manifest = Manifest(config, (descriptor,) * layers, artifact_type)
    return Image(manifest.encode(), {config.digest: content, descriptor.digest: layer})


def _gzip(data):
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


def _archive(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return _gzip(buffer.getvalue())


def _member(name, kind=tarfile.REGTYPE, content=OBJECT):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    content = content if kind == tarfile.REGTYPE else b""
    member.size = len(content)
    return member, content


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        (_archive(_member("../a.yaml")), "path_traversal"),
        (_archive(_member("/a.yaml")), "absolute_path"),
        (_archive(_member("a.yaml", tarfile.SYMTYPE)), "link"),
        (_archive(_member("a.yaml", tarfile.LNKTYPE)), "link"),
        (_archive(_member("a.yaml", tarfile.CHRTYPE)), "device"),
        (_archive(_member("a.yaml", tarfile.FIFOTYPE)), "device"),
        (_archive(_member("a.yaml"), _member("A.yaml")), "duplicate_path"),
        (_archive(*(_member(f"{number}.yaml", content=b"") for number in range(10_001))), "too_many_entries"),
        (_gzip(b"\0" * 70_000_000), "compression_bomb"),
        (_archive(_member("a.yaml"))[:-20], "truncated"),
        (_archive(_member("a.yaml")) + b"more", "trailing_data"),
        (b"no gzip", "malformed"),
        (_archive(_member("run.sh", content=b"echo")), "unexpected_file"),
        (_archive(_member("a.yaml", content=b"- 1")), "document_invalid"),
        (_archive(_member("a.yaml", content=b"kind: A\nmetadata: {name: a}")), "document_invalid"),
        (_archive(_member("a.yaml", content=b"apiVersion: v1\nmetadata: {name: a}")), "document_invalid"),
        (_archive(_member("a.yaml", content=b"apiVersion: v1\nkind: List\nitems: []")), "document_invalid"),
        (_archive(_member("a.yaml", content=OBJECT + b"a: &a [1]\nb: *a\n")), "yaml_alias"),
        (_archive(_member("a.yaml", content=OBJECT + b"a: !!binary aaaa\n")), "yaml_tag"),
        (_archive(_member("a.yaml", content=b"%YAML 1.1\n---\n" + OBJECT)), "yaml_directive"),
        (_archive(_member("a.yaml", content=OBJECT + b"kind: Secret\n")), "yaml_duplicate_key"),
        (_archive(_member("a.yaml", content=OBJECT + b"a: " + b"[" * 100 + b"]" * 100 + b"\n")), "yaml_too_deep"),
        (_archive(_member("a.yaml", content=OBJECT + b"a: " + b"[" * 100_000)), "document_invalid"),
        (_archive(_member("a.yaml", content=b"---\n# nothing\n")), "no_resources"),
        (_archive(), "no_resources"),
    ],
)
async def test_hostile_resources_are_refused_with_their_reason(application, publish, layer, code):
    application.point(await publish(image=_image(layer)))
    _refused(application.run(), code)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"layer_type": "application/vnd.oci.image.layer.v1.tar"}, "wrong_media_type"),
        ({"artifact_type": "application/vnd.forge.artifact.v1"}, "wrong_artifact_type"),
        ({"config_type": "application/vnd.oci.image.config.v1+json"}, "wrong_media_type"),
        ({"layers": 2}, "wrong_layers"),
    ],
)
async def test_other_images_are_refused(application, publish, options, code):
    application.point(await publish(image=_image(_archive(_member("a.yaml")), **options)))
    _refused(application.run(), code)


async def test_a_blob_that_was_exchanged_is_refused(application, publish, registry):
    image = pack_release(METADATA, {"a.yaml": OBJECT})
    application.point(await publish(image=image))
    digest = image.manifest.layers[0].digest.removeprefix("sha256:")
    (data,) = registry.server.directory.glob(f"blobs/**/sha256/{digest[:2]}/{digest}/data")
    data.write_bytes(bytes(len(data.read_bytes())))
    _refused(application.run(), "digest_mismatch")


async def test_an_image_that_is_not_there_is_named(application):
    application.point("sha256:" + "0" * 64)
    run = application.run()
    _refused(run, "image_missing")
    assert "acme/shop/api" in run.stderr
