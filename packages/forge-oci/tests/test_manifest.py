import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_oci.core.canonical import decode_object
from forge_oci.core.errors import FormatError, Reason
from forge_oci.core.manifest import (
    DOCKER_MANIFEST_TYPE,
    EMPTY_DESCRIPTOR,
    MANIFEST_TYPE,
    Descriptor,
    Manifest,
    encode_index,
    parse_index,
    parse_manifest,
)

DIGEST = "sha256:" + "0" * 64
texts = st.text(min_size=1, max_size=20)
descriptors = st.builds(
    Descriptor,
    media_type=texts,
    digest=st.binary(min_size=32, max_size=32).map(lambda value: "sha256:" + value.hex()),
    size=st.integers(0, 1 << 50),
    annotations=st.dictionaries(texts, texts, max_size=3),
    artifact_type=st.none() | texts,
)


@given(
    st.builds(
        Manifest,
        config=descriptors,
        layers=st.lists(descriptors, max_size=3).map(tuple),
        artifact_type=st.none() | texts,
        subject=st.none() | descriptors,
        annotations=st.dictionaries(texts, texts, max_size=3),
        media_type=st.sampled_from([MANIFEST_TYPE, DOCKER_MANIFEST_TYPE]),
    )
)
def test_a_manifest_survives_encoding(manifest):
    assert parse_manifest(manifest.encode()) == manifest


@given(st.lists(descriptors, max_size=4))
def test_an_index_survives_encoding(entries):
    assert parse_index(encode_index(entries)) == entries


def test_the_empty_config_has_the_digest_of_the_specification():
    assert EMPTY_DESCRIPTOR.digest == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_refused(content):
    with pytest.raises(FormatError):
        parse_manifest(content)


def broken(**changes):
    value = json.loads(Manifest(EMPTY_DESCRIPTOR, ()).encode()) | changes
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (broken(schemaVersion=1), Reason.MALFORMED),
        (broken(mediaType="text/plain"), Reason.WRONG_MEDIA_TYPE),
        (broken(mediaType=["x"]), Reason.WRONG_MEDIA_TYPE),
        (broken(config=None), Reason.MALFORMED),
        (broken(layers=[{"mediaType": "x", "digest": "sha256:..", "size": 1}]), Reason.INVALID_DIGEST),
        (broken(layers=[{"mediaType": "x", "digest": DIGEST, "size": -1}]), Reason.MALFORMED),
        (broken(layers=[{"mediaType": "x", "digest": DIGEST, "size": True}]), Reason.MALFORMED),
        (broken(layers=[EMPTY_DESCRIPTOR.to_json()] * 300), Reason.TOO_LARGE),
        (broken(annotations={"a": 1}), Reason.MALFORMED),
        (broken(artifactType=1), Reason.MALFORMED),
        (b'{"a": 1, "a": 2}', Reason.MALFORMED),
        (b'{"a": NaN}', Reason.MALFORMED),
        (b"[" * 100_000, Reason.MALFORMED),
        (b" " * (4 * 1024 * 1024 + 1), Reason.TOO_LARGE),
    ],
)
def test_a_broken_manifest_is_refused_with_its_reason(content, reason):
    with pytest.raises(FormatError) as caught:
        parse_manifest(content)
    assert caught.value.reason is reason


def test_a_document_that_is_not_an_object_is_refused():
    with pytest.raises(FormatError):
        decode_object(b"[]", "the document")
