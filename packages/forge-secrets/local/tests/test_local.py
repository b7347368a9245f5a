from pathlib import Path

import pytest

from forge_sdk.errors import PlatformError
from forge_sdk.plugins.manager import load_plugins
from forge_sdk.secrets import SecretReference
from forge_sdk.testing import LocalContext


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.toml"
    path.write_text('"publishers/pypi/token" = "s3cret-value"\n')
    path.chmod(0o600)
    return path


async def resolve(file: Path | None, **fields):
    resolver = load_plugins().secret_resolver("local")
    context = LocalContext(settings=resolver.settings(file=file))
    return await resolver.resolve(SecretReference(provider="local", **fields), context)


async def test_key_of_the_file(file):
    assert (await resolve(file, key="publishers/pypi/token")).reveal() == "s3cret-value"


async def test_variable_of_the_environment(monkeypatch):
    monkeypatch.setenv("FORGE_SECRET_TOKEN", "from-environment")
    assert (await resolve(None, variable="FORGE_SECRET_TOKEN")).reveal() == "from-environment"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"key": "unknown"}, 'add "unknown" = '),
        ({"variable": "FORGE_SECRET_UNSET"}, "FORGE_SECRET_UNSET is not set"),
        ({"variable": "PATH"}, "should match pattern"),
        ({"key": "a", "variable": "FORGE_SECRET_B"}, "exactly one of key and variable"),
        ({}, "exactly one of key and variable"),
        ({"key": "a", "more": 1}, "Extra inputs are not permitted"),
    ],
)
async def test_what_is_wrong_is_said(file, fields, message):
    with pytest.raises(PlatformError, match=message):
        await resolve(file, **fields)


async def test_file_that_others_can_read_is_refused(file):
    file.chmod(0o644)
    with pytest.raises(PlatformError, match="chmod 600") as caught:
        await resolve(file, key="publishers/pypi/token")
    assert "s3cret-value" not in str(caught.value)


async def test_broken_file_does_not_show_its_content(file):
    file.write_text('"publishers/pypi/token" = "s3cret-value')
    with pytest.raises(PlatformError, match="not valid TOML") as caught:
        await resolve(file, key="publishers/pypi/token")
    assert "s3cret-value" not in str(caught.value)


async def test_without_file_the_setting_is_named():
    with pytest.raises(PlatformError, match=r"plugins\.local\.file"):
        await resolve(None, key="a")
