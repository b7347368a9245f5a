import json

import pytest

from forge_oci.core import publications, release, tracking
from forge_oci.core.errors import FormatError, OciError, Reason
from forge_oci.core.image import Image
from forge_oci.core.layout import read_layout, write_layout
from forge_oci.core.manifest import EMPTY_CONFIG, EMPTY_DESCRIPTOR, Descriptor, Manifest

FILES = {"b.yaml": b"b: 1\n", "a.yaml": b"a: 1\n"}


def changed(image, **changes):
    return image._replace(manifest_bytes=image.manifest._replace(**changes).encode())


def refusal(call):
    with pytest.raises(OciError) as caught:
        call()
    return caught.value.reason


def test_equal_releases_have_one_digest():
    first = release.pack_release({"source": {"a": 1, "b": 2}}, FILES)
    second = release.pack_release({"source": {"b": 2, "a": 1}}, dict(reversed(FILES.items())))
    assert first == second


def test_a_release_survives_packing():
    read = release.unpack_release(release.pack_release({"resources": {"count": 2}}, FILES))
    assert read.files == FILES
    assert read.metadata["resources"]["count"] == 2


def test_a_release_is_one_layer_of_a_standard_type(release):
    manifest = json.loads(release.manifest_bytes)
    assert [layer["mediaType"] for layer in manifest["layers"]] == ["application/vnd.oci.image.layer.v1.tar+gzip"]
    assert manifest["artifactType"] == "application/vnd.forge.release.v1"
    assert manifest["config"]["mediaType"] == "application/vnd.forge.release.metadata.v1+json"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"artifact_type": "other"}, Reason.WRONG_ARTIFACT_TYPE),
        ({"config": EMPTY_DESCRIPTOR}, Reason.WRONG_MEDIA_TYPE),
        ({"layers": ()}, Reason.WRONG_LAYERS),
        ({"layers": (EMPTY_DESCRIPTOR,)}, Reason.WRONG_MEDIA_TYPE),
        ({"layers": (EMPTY_DESCRIPTOR._replace(media_type=release.RESOURCES_TYPE),)}, Reason.WRONG_LAYERS),
    ],
)
def test_what_is_not_a_release_image_is_refused(changes, reason):
    image = release.pack_release({}, FILES)
    assert refusal(lambda: release.unpack_release(changed(image, **changes))) is reason


def test_a_release_with_another_resources_layer_is_refused():
    image, other = release.pack_release({}, FILES), release.pack_release({}, {})
    mixed = changed(image, layers=other.manifest.layers)._replace(blobs={**image.blobs, **other.blobs})
    assert refusal(lambda: release.unpack_release(mixed)) is Reason.WRONG_METADATA


@pytest.mark.parametrize(
    ("blob", "reason"), [(b"x", Reason.SIZE_MISMATCH), (None, Reason.BLOB_MISSING), ("flip", Reason.DIGEST_MISMATCH)]
)
def test_a_tampered_blob_is_refused(release, blob, reason):
    digest = release.manifest.layers[0].digest
    blobs = dict(release.blobs)
    content = blobs.pop(digest)
    if blob is not None:
        blobs[digest] = content[:-1] + b"?" if blob == "flip" else blob
    assert refusal(release._replace(blobs=blobs).verify) is reason


def test_a_blob_above_the_limit_is_not_read(release):
    assert refusal(lambda: release.read(release.manifest.layers[0], limit=3)) is Reason.TOO_LARGE


def test_a_tracking_image_survives_packing(tracking):
    from forge_oci.core.tracking import unpack_tracking

    read = unpack_tracking(tracking)
    assert read.artifact_digest == "sha256:" + "a" * 64
    assert tracking.read(read.spdx, limit=1000) == b'{"spdxVersion":"SPDX-2.3"}'


def test_layers_of_a_tracking_image_are_annotated(tracking):
    layers = {
        layer.media_type: layer.annotations["org.catalyst-forge.layer.type"] for layer in tracking.manifest.layers
    }
    assert layers == {
        "application/vnd.forge.artifact.metadata.v1+json": "metadata",
        "application/vnd.syft+json": "sbom-syft",
        "application/spdx+json": "sbom-spdx",
        "application/vnd.in-toto+json": "provenance",
    }


def test_an_sbom_may_be_a_file(tmp_path, provenance):
    sbom = tmp_path / "sbom.json"
    sbom.write_bytes(b"{}x")
    metadata = {"artifact": {"digest": "sha256:" + "a" * 64}, "source": {}, "build": {}}
    image = tracking.pack_tracking(metadata, provenance, spdx=sbom)
    assert image.digest == tracking.pack_tracking(metadata, provenance, spdx=b"{}x").digest


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, Reason.WRONG_METADATA),
        ({"artifact": {}, "source": {}, "build": {}}, Reason.INVALID_DIGEST),
        ({"artifact": {"digest": "sha256:" + "b" * 64}, "source": {}, "build": {}}, Reason.WRONG_SUBJECT),
    ],
)
def test_metadata_that_contradicts_the_provenance_is_refused(provenance, metadata, reason):
    assert refusal(lambda: tracking.pack_tracking(metadata, provenance)) is reason


def test_a_tracking_image_without_provenance_is_refused(tracking):
    from forge_oci.core.tracking import unpack_tracking

    without = changed(tracking, layers=tracking.manifest.layers[:-1])
    assert refusal(lambda: unpack_tracking(without)) is Reason.WRONG_LAYERS


def test_the_newest_publications_count(tracking):
    images = [publications.pack_publications([{"state": n}], tracking.descriptor, sequence=n) for n in (2, 10, 9)]
    entries = [
        image.descriptor._replace(annotations=image.manifest.annotations, artifact_type=image.manifest.artifact_type)
        for image in images
    ]
    newest = publications.newest_publications([*entries, Descriptor("x", "sha256:" + "f" * 64, 1)])
    assert newest.digest == images[1].digest
    assert publications.unpack_publications(images[1], tracking.digest) == [{"state": 10}]


def test_nothing_published_has_no_newest():
    assert publications.newest_publications([]) is None


def test_publications_of_another_image_are_refused(tracking, release):
    image = publications.pack_publications([], tracking.descriptor, sequence=1)
    assert refusal(lambda: publications.unpack_publications(image, release.digest)) is Reason.WRONG_SUBJECT


def test_an_image_survives_a_layout(tmp_path, release):
    write_layout(release, tmp_path)
    read = read_layout(tmp_path)
    assert read.digest == release.digest
    assert {digest: path.read_bytes() for digest, path in read.blobs.items()} == release.blobs


def test_a_layout_can_be_written_over_itself(tmp_path, release):
    write_layout(release, tmp_path)
    write_layout(read_layout(tmp_path), tmp_path, name="again")
    assert read_layout(tmp_path, name="again").digest == release.digest


def test_a_tampered_layout_is_refused(tmp_path, release):
    write_layout(release, tmp_path)
    blob = tmp_path / "blobs" / "sha256" / release.manifest.layers[0].digest.removeprefix("sha256:")
    blob.write_bytes(bytes(len(blob.read_bytes())))
    assert refusal(lambda: read_layout(tmp_path)) is Reason.DIGEST_MISMATCH


def test_a_link_in_a_layout_is_refused(tmp_path, release):
    write_layout(release, tmp_path)
    blob = tmp_path / "blobs" / "sha256" / release.manifest.layers[0].digest.removeprefix("sha256:")
    blob.rename(tmp_path / "elsewhere")
    blob.symlink_to(tmp_path / "elsewhere")
    assert refusal(lambda: read_layout(tmp_path)) is Reason.BLOB_MISSING


def test_a_directory_that_is_no_layout_is_refused(tmp_path):
    with pytest.raises(FormatError):
        read_layout(tmp_path)


def test_an_image_describes_itself():
    image = Image(Manifest(EMPTY_DESCRIPTOR, ()).encode(), {EMPTY_DESCRIPTOR.digest: EMPTY_CONFIG})
    assert image.descriptor == Descriptor(
        "application/vnd.oci.image.manifest.v1+json", image.digest, len(image.manifest_bytes)
    )
