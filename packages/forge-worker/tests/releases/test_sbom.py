import json

import pytest

from forge_sdk.errors import PlatformError
from forge_worker import sbom
from forge_worker.verification import VerifiedArtifact, VerifiedFile

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def artifact(tmp_path):
    staging = tmp_path / "staging"
    staging.mkdir()
    (staging / "requirements.txt").write_text("requests==2.31.0\n")
    (staging / "b").write_text("b")
    files = tuple(VerifiedFile(name, staging / name, 1, DIGEST) for name in ("requirements.txt", "b"))
    return VerifiedArtifact(DIGEST, (("requirements.txt", DIGEST),), files)


def _fake(tmp_path, monkeypatch, script):
    program = tmp_path / "syft"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sbom, "syft_program", lambda: program)


async def _make(artifact, tmp_path, **options):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return await sbom.make_sbom(artifact, tmp_path / "staging", folder, name="acme/shop/api", version="1", **options)


async def test_both_documents_name_what_is_inside(artifact, tmp_path):
    made = await _make(artifact, tmp_path)
    spdx = json.loads(made.spdx.read_bytes())
    assert spdx["spdxVersion"].startswith("SPDX-2")
    assert "requests" in {package["name"] for package in spdx["packages"]}
    assert json.loads(made.syft.read_bytes())["descriptor"]["name"] == "syft"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo broken; exit 3", "exit code 3: broken"),
        ("sleep 60", "took longer than"),
        ("exit 0", "a document of 0 bytes"),
        (
            'for o in "$@"; do case "$o" in *json=*) head -c 70000000 /dev/zero > "${o#*=}";; esac; done',
            "70000000 bytes",
        ),
    ],
)
async def test_a_scan_that_goes_wrong_is_an_error(artifact, tmp_path, monkeypatch, script, words):
    _fake(tmp_path, monkeypatch, script)
    with pytest.raises(PlatformError, match=words):
        await _make(artifact, tmp_path, timeout_s=1)


async def test_syft_does_not_phone_home(artifact, tmp_path, monkeypatch):
    script = 'for o in "$@"; do case "$o" in *json=*) echo "$SYFT_CHECK_FOR_APP_UPDATE" > "${o#*=}";; esac; done'
    _fake(tmp_path, monkeypatch, script)
    assert (await _make(artifact, tmp_path)).spdx.read_text() == "false\n"
