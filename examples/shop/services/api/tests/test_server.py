import json
import threading
import urllib.error
import urllib.request
from http.server import ThreadingHTTPServer

import pytest
from shop_api.server import Handler


@pytest.fixture
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_price_over_http(url):
    with urllib.request.urlopen(f"{url}/prices/bread") as answer:
        assert json.load(answer) == {"item": "bread", "cents": 320}


def test_unknown_item_is_404(url):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{url}/prices/unicorn")
    assert caught.value.code == 404
    caught.value.close()


def test_health(url):
    with urllib.request.urlopen(f"{url}/healthz") as answer:
        assert answer.status == 200
