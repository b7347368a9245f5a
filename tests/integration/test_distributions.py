"""Each distribution can be installed alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / ".cache" / "wheelhouse" / "constraints.txt"
PLUGINS = [
    "catalyst-forge-producer-command",
    "catalyst-forge-producer-python",
    "catalyst-forge-publisher-pypi",
    "catalyst-forge-publisher-s3",
    "catalyst-forge-secrets-local",
]
SHOW = "from forge_sdk.plugins.manager import load_plugins; p = load_plugins(); print([d.name for d in p.descriptions], p.problems)"


@pytest.fixture
def environment(tmp_path) -> Path:
    subprocess.run(
        ["uv", "venv", "--quiet", "--python", sys.executable, str(tmp_path / "env")], check=True, env=search_path()
    )
    return tmp_path / "env"


def search_path() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(ROOT / ".venv" / "bin"), os.environ["PATH"]]),
    }


def install(environment: Path, *requirements: str) -> list[str]:
    """Install and say what of ours is there."""
    command = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(environment),
        "--constraint",
        str(CONSTRAINTS),
        *requirements,
    ]
    subprocess.run(command, check=True, env=search_path())
    listed = subprocess.run(
        ["uv", "pip", "list", "--format", "json", "--python", str(environment)],
        check=True,
        capture_output=True,
        env=search_path(),
    )
    return sorted(found["name"] for found in json.loads(listed.stdout) if found["name"].startswith("catalyst-forge-"))


def python(environment: Path, program: str) -> str:
    return subprocess.run(
        [environment / "bin" / "python", "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_brings_the_sdk_and_nothing_else_of_ours(environment, plugin):
    assert install(environment, plugin) == sorted(["catalyst-forge-sdk", plugin])
    name = plugin.rpartition("-")[2]
    assert python(environment, SHOW).startswith(f"['{name}'")


def test_importing_plugins_imports_no_client_library(environment):
    install(environment, *PLUGINS)
    program = f"{SHOW}; import sys; print([m for m in ('requests', 'twine', 'boto3', 'aiohttp', 'docker') if m in sys.modules])"
    assert python(environment, program).splitlines()[-1] == "[]"


def test_the_argo_cd_plugin_brings_the_oci_core_only(environment):
    assert install(environment, "catalyst-forge-cmp") == ["catalyst-forge-cmp", "catalyst-forge-oci"]


def test_the_command_line_alone_brings_no_services(environment):
    found = install(environment, "catalyst-forge-cli")
    assert "catalyst-forge-cli" in found
    assert not {"catalyst-forge-api", "catalyst-forge-worker", "catalyst-forge-servers"} & set(found)
    done = subprocess.run([environment / "bin" / "forge", "up"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'catalyst-forge-cli[up]'" in done.stderr
