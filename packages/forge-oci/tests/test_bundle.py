import base64
import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_oci.core import bundle
from forge_oci.core.dsse import pre_authentication_encoding
from forge_oci.core.errors import FormatError, Reason, VerificationError
from forge_oci.core.keys import PrivateKey, PublicKey, write_key_pair
from forge_oci.core.manifest import EMPTY_DESCRIPTOR
from forge_oci.core.statement import PROVENANCE_PREDICATE, SIGN_PREDICATE, encode_statement, sign_statement

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
KEY = PrivateKey.generate()
STRANGER = PrivateKey.generate()


def signed(statement=None, key=KEY):
    return bundle.build_bundle(statement or sign_statement(DIGEST), key.sign, key.public_key.hint)


def verify(content, keys=(KEY.public_key,), predicate_type=SIGN_PREDICATE, digest=DIGEST):
    return bundle.verify_bundle(content, list(keys), predicate_type=predicate_type, digest=digest)


def refusal(*arguments, **options):
    with pytest.raises(VerificationError) as caught:
        verify(*arguments, **options)
    return caught.value.reason


def edited(edit, content=None):
    value = json.loads(content or signed())
    edit(value)
    return json.dumps(value).encode()


def test_the_signed_bytes_are_those_of_the_specification():
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_bundle_by_any_of_the_keys_holds():
    assert verify(signed(), [STRANGER.public_key, KEY.public_key]).subjects == (DIGEST,)


def test_the_hint_is_advisory():
    def forget(value):
        value["verificationMaterial"] = {"publicKey": {}}

    assert verify(edited(forget)).predicate_type == SIGN_PREDICATE


def tampered_payload(value):
    value["dsseEnvelope"]["payload"] = base64.b64encode(sign_statement(OTHER)).decode()


def second_signature(value):
    value["dsseEnvelope"]["signatures"] *= 2


def no_signature(value):
    value["dsseEnvelope"]["signatures"] = []


def not_base64(value):
    value["dsseEnvelope"]["payload"] = "%"


def other_payload_type(value):
    value["dsseEnvelope"]["payloadType"] = "text/plain"


def other_type(value):
    value["mediaType"] = "application/json"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (tampered_payload, Reason.SIGNATURE_INVALID),
        (second_signature, Reason.BUNDLE_MALFORMED),
        (no_signature, Reason.BUNDLE_MALFORMED),
        (not_base64, Reason.BUNDLE_MALFORMED),
        (other_payload_type, Reason.WRONG_PAYLOAD_TYPE),
        (other_type, Reason.BUNDLE_MALFORMED),
    ],
)
def test_a_tampered_bundle_is_refused_with_its_reason(edit, reason):
    assert refusal(edited(edit)) is reason


def test_a_stranger_is_refused():
    assert refusal(signed(key=STRANGER)) is Reason.UNKNOWN_KEY


def test_without_keys_nothing_holds():
    assert refusal(signed(), keys=[]) is Reason.NO_PUBLIC_KEY


def test_an_attestation_is_not_a_signature():
    statement = encode_statement([(None, DIGEST)], PROVENANCE_PREDICATE, {})
    assert refusal(signed(statement)) is Reason.WRONG_PREDICATE_TYPE


def test_a_signature_of_another_image_is_refused():
    assert refusal(signed(), digest=OTHER) is Reason.WRONG_SUBJECT


def test_a_signed_document_that_is_no_statement_is_refused():
    assert refusal(signed(b'{"_type": "other", "subject": []}')) is Reason.WRONG_STATEMENT_TYPE


def test_a_statement_type_that_is_no_text_is_refused():
    assert refusal(signed(b'{"_type": [], "subject": []}')) is Reason.WRONG_STATEMENT_TYPE


def test_a_statement_without_digests_is_refused():
    statement = b'{"_type": "https://in-toto.io/Statement/v1", "subject": [{}], "predicateType": "x"}'
    assert refusal(signed(statement)) is Reason.BUNDLE_MALFORMED


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content):
    assert refusal(content) is Reason.BUNDLE_MALFORMED


def test_one_good_bundle_among_bad_ones_is_enough():
    bundles = [b"rubbish", signed(key=STRANGER), signed()]
    assert bundle.verify_any(bundles, [KEY.public_key], predicate_type=SIGN_PREDICATE, digest=DIGEST)


@pytest.mark.parametrize(
    ("bundles", "reason"),
    [([], Reason.BUNDLE_MISSING), ([signed(key=STRANGER), b"rubbish"], Reason.UNKNOWN_KEY)],
)
def test_the_closest_failure_is_told(bundles, reason):
    with pytest.raises(VerificationError) as caught:
        bundle.verify_any(bundles, [KEY.public_key], predicate_type=SIGN_PREDICATE, digest=DIGEST)
    assert caught.value.reason is reason


def test_a_bundle_survives_its_referrer():
    subject = EMPTY_DESCRIPTOR._replace(digest=DIGEST)
    content = signed()
    image = bundle.pack_bundle(content, subject, created="2026-01-01T00:00:00Z")
    assert bundle.unpack_bundle(image, DIGEST) == content
    assert image.manifest.annotations["dev.sigstore.bundle.predicateType"] == SIGN_PREDICATE


def test_a_referrer_of_another_image_is_refused():
    image = bundle.pack_bundle(signed(), EMPTY_DESCRIPTOR, created="2026-01-01T00:00:00Z")
    with pytest.raises(VerificationError) as caught:
        bundle.unpack_bundle(image, DIGEST)
    assert caught.value.reason is Reason.WRONG_SUBJECT


def test_the_private_key_file_is_its_owners_alone(tmp_path):
    write_key_pair(tmp_path / "k", tmp_path / "k.pub")
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


def test_an_existing_private_key_is_kept(tmp_path):
    write_key_pair(tmp_path / "k", tmp_path / "k.pub")
    with pytest.raises(FileExistsError):
        write_key_pair(tmp_path / "k", tmp_path / "k.pub")


def test_keys_survive_their_files(tmp_path):
    key = write_key_pair(tmp_path / "k", tmp_path / "k.pub")
    public = PublicKey.from_file(tmp_path / "k.pub")
    assert public.hint == key.public_key.hint
    assert public.verify(PrivateKey.from_file(tmp_path / "k").sign(b"text"), b"text")


@pytest.mark.parametrize("load", [PrivateKey.from_pem, PublicKey.from_pem])
def test_other_keys_are_refused(load):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for pem in (private, public, b"rubbish"):
        with pytest.raises(FormatError) as caught:
            load(pem)
        assert caught.value.reason is Reason.INVALID_KEY


def test_a_missing_key_file_is_told(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        PrivateKey.from_file(tmp_path / "absent")
