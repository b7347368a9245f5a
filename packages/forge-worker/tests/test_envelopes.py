"""What a message says of itself."""

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from forge_worker.envelopes import deliveries


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.ci.workers.3.17.21.1767323045000000000.5",
        "$JS.ACK.hub.ACCOUNTHASH.ci.workers.3.17.21.1767323045000000000.5",
        "$JS.ACK._.ACCOUNTHASH.ci.workers.3.17.21.1767323045000000000.5.token",
    ],
)
def test_deliveries_are_counted_in_every_form_of_the_reply(reply):
    assert deliveries(Msg(Client(), reply=reply)) == 3
