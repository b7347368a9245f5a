"""Who may use which secret, and what is told of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from forge_sdk.errors import AuthenticationError, ErrorCode, PlatformError
from forge_sdk.secrets import Masker, SecretReference
from forge_worker.secrets import PrefixPolicy, SecretStore


def reference(path, provider="vault"):
    return SecretReference(provider=provider, path=path)


@pytest.fixture
def store(configuration, plugins):
    return SecretStore(configuration, plugins)


async def test_a_secret_is_resolved_masked_and_audited_without_its_value(store):
    masker = Masker()
    with capture_logs() as events:
        secret = await store.resolve(
            reference("ci/acme/shop/token"), masker=masker, repository="acme/shop", purpose="ci"
        )
    assert masker.text(f"x {secret.reveal()}") == "x ***"
    assert events[0]["event"] == "secret_accessed"
    assert events[0]["reference"] == "vault(path=ci/acme/shop/token)"
    assert secret.reveal() not in str(events)


async def test_a_refusal_is_audited_and_the_provider_not_asked(store):
    with capture_logs() as events, pytest.raises(AuthenticationError, match="ci/acme/shop/"):
        await store.resolve(reference("ci/other/repo/token"), masker=Masker(), repository="acme/shop", purpose="ci")
    assert [event["event"] for event in events] == ["secret_refused"]


async def test_a_foreign_error_of_a_resolver_is_told_by_its_kind_only(store):
    with pytest.raises(PlatformError, match="KeyError") as error:
        await store.resolve(reference("ci/acme/shop/gone"), masker=Masker(), repository="acme/shop", purpose="ci")
    assert error.value.code is ErrorCode.SECRET_UNRESOLVED


@pytest.mark.parametrize(
    ("path", "purpose"),
    [
        ("ci/acme/shop/../../other/repo/token", "ci"),
        ("ci/acme/shopping/token", "ci"),
        ("publishers/acme/shop/token", "ci"),
        ("ci/acme/shop/token", "publishers"),
        ("", "ci"),
    ],
)
def test_references_outside_a_repositorys_own_are_refused(path, purpose):
    with pytest.raises(AuthenticationError):
        PrefixPolicy(allow_local=True).check(reference(path), repository="acme/shop", purpose=purpose)


def test_local_secrets_belong_to_the_embedded_platform():
    mine = SecretReference(provider="local", key="token")
    PrefixPolicy(allow_local=True).check(mine, repository="acme/shop", purpose="ci")
    with pytest.raises(AuthenticationError):
        PrefixPolicy(allow_local=False).check(mine, repository="acme/shop", purpose="ci")


def test_operators_references_pass():
    PrefixPolicy(allow_local=False).check(reference("gitops/ssh-key"), repository="acme/shop", purpose="git")


@given(path=st.text(max_size=60))
def test_nothing_passes_that_does_not_begin_with_the_prefix(path):
    try:
        PrefixPolicy(allow_local=False).check(reference(path), repository="acme/shop", purpose="ci")
    except AuthenticationError:
        return
    assert path.startswith("ci/acme/shop/")
    assert ".." not in path.split("/")
