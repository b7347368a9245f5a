"""The permissions file of deployments is the list that the tests prove."""

from pathlib import Path

from forge_sdk.nats_permissions import document

FILE = Path(__file__).resolve().parents[2] / "deploy" / "nats" / "permissions.json"


def test_the_file_is_made_from_the_list():
    assert FILE.read_text() == document(), "python -m forge_sdk.nats_permissions > deploy/nats/permissions.json"
