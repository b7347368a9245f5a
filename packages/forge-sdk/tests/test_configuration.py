from pathlib import Path

import pytest

from forge_sdk.configuration import WorkerConfiguration, load, read_secret_file
from forge_sdk.errors import ConfigurationError

WORKER = """
registry: {host: "registry.example.com"}
pools: {ci: 2, artifact: 1}
api_url: https://forge.example.com
credentials: {token_url: https://id.example.com/token, client_id: worker, client_secret_file: /run/secrets/worker}
signing: {private_key_file: /run/secrets/signing.key}
gitops: {url: https://git.example.com/gitops.git}
cache: {repositories: /cache/repos, workspace: /workspace, tools: /cache/tools}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "worker.yaml"
    path.write_text(WORKER)
    return path


def test_file_is_read(file):
    assert load(WorkerConfiguration, file).pools == {"ci": 2, "artifact": 1}


def test_environment_wins_over_the_file_field_by_field(file, monkeypatch):
    monkeypatch.setenv("FORGE_REGISTRY__PLAIN_HTTP", "true")
    configuration = load(WorkerConfiguration, file)
    assert (configuration.registry.host, configuration.registry.plain_http) == ("registry.example.com", True)


def test_file_is_found_by_the_environment(file, monkeypatch):
    monkeypatch.setenv("FORGE_CONFIG", str(file))
    assert load(WorkerConfiguration).api_url == "https://forge.example.com"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WORKER + "unknown: 1\n", "unknown: Extra inputs are not permitted"),
        (WORKER.replace("ci: 2", "ci: 0"), "every pool needs at least one slot"),
        (WORKER.replace("ci: 2", "gardening: 2"), "pools"),
        (WORKER.replace("api_url: https://forge.example.com", ""), "api_url: Field required"),
        ("- a\n- b\n", "worker.yaml"),
        ("a: [", "worker.yaml"),
    ],
)
def test_what_is_wrong_is_named(file, text, message):
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        load(WorkerConfiguration, file)


def test_missing_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("FORGE_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match="--config"):
        load(WorkerConfiguration)
    with pytest.raises(ConfigurationError, match="does not exist"):
        load(WorkerConfiguration, tmp_path / "none.yaml")


def test_secret_file_must_be_private(tmp_path):
    path = tmp_path / "secret"
    path.write_text("value\n")
    path.chmod(0o600)
    assert read_secret_file(path).reveal() == "value"
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_secret_file(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_secret_file(tmp_path / "none")
