import json

from forge_sdk.nats_permissions import PERMISSIONS, document


def test_the_document_has_every_service():
    assert set(json.loads(document())) == set(PERMISSIONS) == {"api", "dispatcher", "worker"}


def test_no_service_may_do_everything():
    subjects = [found for item in PERMISSIONS.values() for found in (*item.publish, *item.subscribe)]
    assert not [found for found in subjects if found in {">", "$JS.>", "$JS.API.>", "_INBOX.>", "$KV.>"}]


def test_inboxes_belong_to_one_service():
    for service, found in PERMISSIONS.items():
        inboxes = [subject for subject in found.subscribe if subject.startswith("_INBOX")]
        assert inboxes == [f"_INBOX_{service}.>"]
