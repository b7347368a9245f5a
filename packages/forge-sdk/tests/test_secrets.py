import base64
import copy
import json
import pickle
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from forge_sdk.secrets import MIN_MASKED_LENGTH, Masker, Secret, SecretReference, StreamMasker

VALUE = "s3cret/value+with=signs"
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)


def masker_of(value: str) -> Masker:
    masker = Masker()
    masker.register(Secret(value))
    return masker


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret(VALUE)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>10}",
        "%s" % secret,
        repr([secret]),
        repr({"a": secret}),
    ]
    assert secret.reveal() == VALUE
    assert not any(VALUE in text for text in shown)


def test_pickles_and_copies_of_pickles_hold_no_value():
    assert VALUE.encode() not in pickle.dumps(Secret(VALUE))
    assert copy.deepcopy(Secret(VALUE)).reveal() != VALUE
    with pytest.raises(TypeError):
        json.dumps(Secret(VALUE))


@given(values, st.text(max_size=20), st.text(max_size=20))
def test_encoded_forms_are_masked_at_every_offset(value, before, after):
    masker = masker_of(value)
    plain = f"{before}{value}{after}"
    for shown in (plain, urllib.parse.quote(plain, safe=""), urllib.parse.quote_plus(plain)):
        assert value not in masker.text(shown)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        masked = masker.data(encode(plain.encode()))
        assert masked != encode(plain.encode())


@given(values, st.lists(st.integers(1, 7), min_size=1, max_size=60), st.binary(max_size=30))
def test_chunk_borders_hide_nothing(value, sizes, noise):
    stream, data, out = StreamMasker(masker_of(value)), noise + value.encode() + noise + value.encode(), b""
    for size in sizes:
        out, data = out + stream.feed(data[:size]), data[size:]
    out += stream.feed(data) + stream.finish()
    assert value.encode() not in out


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_output_without_secrets_is_unchanged(chunks):
    stream = StreamMasker(masker_of("never-in-the-output-\u2603"))
    assert b"".join([*map(stream.feed, chunks), stream.finish()]) == b"".join(chunks)


@given(
    st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=255), min_size=4, max_size=20), min_size=1, max_size=4
    ),
    st.lists(st.binary(max_size=30), max_size=4),
    st.data(),
)
def test_every_one_of_several_secrets_is_masked_wherever_it_is(found, noise, data):
    masker = Masker()
    for value in found:
        masker.register(Secret(value))
    shown = data.draw(st.permutations([*(value.encode() for value in found), *noise]))
    masked = masker.data(b"".join(shown))
    assert not [value for value in found if value.encode() in masked and "*" not in value]


def test_a_secret_of_white_space_and_words_is_masked():
    for value in ("    ", "two words of it", "-----BEGIN KEY-----"):
        assert masker_of(value).text(f"<{value}>") == "<***>"


def test_lines_of_a_secret_are_masked_each():
    masker = masker_of("first-line\nsecond-line\nab")
    assert masker.text("x second-line y ab") == "x *** y ab"
    assert len("ab") < MIN_MASKED_LENGTH


def test_reference_keeps_its_providers_fields_and_shows_them():
    reference = SecretReference.model_validate({"provider": "vault", "path": "ci/token", "key": "value"})
    assert reference.fields == {"path": "ci/token", "key": "value"}
    assert str(reference) == "vault(key=value, path=ci/token)"
    assert SecretReference.model_validate_json(reference.model_dump_json()) == reference


@pytest.mark.parametrize("provider", ["", "A", "a b", "-a", "a" * 64])
def test_provider_names_are_checked(provider):
    with pytest.raises(ValidationError):
        SecretReference(provider=provider)
