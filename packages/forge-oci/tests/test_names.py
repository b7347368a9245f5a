import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_oci.core import names
from forge_oci.core.errors import FormatError, Reason

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256:" + "0" * 64


def test_a_repository_path_is_folded_to_lower_case():
    assert names.repository_path("", "Acme/Shop", "API", "Web") == "acme/shop/api/web"


def test_a_prefix_comes_first():
    assert names.repository_path("forge/releases", "acme/shop", "api") == "forge/releases/acme/shop/api"


@pytest.mark.parametrize(
    ("repository", "project"),
    [
        ("acme", "api"),
        ("acme/shop/x", "api"),
        ("acme/sh op", "api"),
        ("acme/shop", ""),
        ("acme/shop", "../x"),
        ("/shop", "a"),
    ],
)
def test_names_that_registries_refuse_are_refused(repository, project):
    with pytest.raises(FormatError) as caught:
        names.repository_path("", repository, project)
    assert caught.value.reason is Reason.INVALID_NAME


def test_a_name_is_not_longer_than_255_characters():
    with pytest.raises(FormatError):
        names.validate_repository("a" * 256)


def test_tags_come_from_the_commit():
    assert names.tracking_tag(COMMIT) == "sha-" + COMMIT
    assert names.release_tag(COMMIT) == COMMIT


@pytest.mark.parametrize("commit", ["abc", COMMIT.upper(), COMMIT + "\n"])
def test_only_a_full_commit_makes_a_tag(commit):
    with pytest.raises(FormatError):
        names.release_tag(commit)


def test_the_referrers_tag_has_no_colon():
    assert names.referrers_tag(DIGEST) == "sha256-" + "0" * 64


@pytest.mark.parametrize(
    "text", [f"localhost:5000/acme/shop/api:{COMMIT}", f"[::1]:5000/a/b@{DIGEST}", f"registry.example/a:tag@{DIGEST}"]
)
def test_a_reference_survives_parsing(text):
    assert str(names.parse_reference(text)) == text


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused(text):
    try:
        parsed = str(names.parse_reference(text))
    except FormatError:
        return
    assert parsed == text


def test_a_registry_is_split_into_host_and_prefix():
    assert names.split_registry("localhost:5000/forge/tracking") == ("localhost:5000", "forge/tracking")
    assert names.split_registry("registry.example") == ("registry.example", "")


def test_a_registry_with_a_scheme_is_refused():
    with pytest.raises(FormatError):
        names.split_registry("https://registry.example")
