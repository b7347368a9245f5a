import os
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from forge_sdk import object_storage
from forge_sdk.configuration import Storage
from forge_sdk.errors import AuthenticationError, ErrorCode, PlatformError, TransientError
from forge_sdk.object_storage import CHUNK, LARGEST_REQUEST, S3ObjectStore


def secret_file(tmp_path, name: str, value: str):
    path = tmp_path / name
    path.write_text(value)
    path.chmod(0o600)
    return path


@pytest.fixture
def configuration(s3_bucket, tmp_path) -> Storage:
    return Storage(
        endpoint_url=s3_bucket.endpoint_url,
        region=s3_bucket.region,
        bucket=s3_bucket.bucket,
        access_key_file=secret_file(tmp_path, "access", s3_bucket.access_key),
        secret_key_file=secret_file(tmp_path, "secret", s3_bucket.secret_key),
    )


@pytest.fixture
def store(configuration) -> S3ObjectStore:
    return S3ObjectStore(configuration)


class BusyOnce:
    """A server that takes every object, and the first time says that it is busy."""

    def __init__(self):
        self.bodies = bodies = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(503 if len(bodies) == 1 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def busy_once():
    busy = BusyOnce()
    thread = threading.Thread(target=busy.server.serve_forever, daemon=True)
    thread.start()
    yield busy
    busy.server.shutdown()
    busy.server.server_close()
    thread.join()


async def test_metadata_stays_beside_the_object(store, tmp_path):
    await store.put("a", b"x", metadata={"forge-token": "7"})
    assert await store.metadata("a") == {"forge-token": "7"}
    (tmp_path / "file").write_bytes(b"y")
    await store.put_file("b", tmp_path / "file", metadata={"forge-token": "8"})
    assert (await store.metadata("b"))["forge-token"] == "8"
    with pytest.raises(PlatformError, match="does not exist"):
        await store.metadata("c")


async def test_objects_come_back_as_they_were(store, tmp_path):
    await store.put("logs/a.log", b"hello", content_type="text/plain")
    assert await store.get("logs/a.log", limit=10) == b"hello"
    await store.get_file("logs/a.log", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"hello"


@pytest.mark.parametrize("size", [0, 100, CHUNK, CHUNK + 1, 20 * 2**20])
@pytest.mark.parametrize("largest_request", [LARGEST_REQUEST, 10 * 2**20], ids=["one-request", "parts"])
async def test_files_keep_content_type_and_metadata_at_any_size(store, tmp_path, monkeypatch, size, largest_request):
    monkeypatch.setattr(object_storage, "LARGEST_REQUEST", largest_request)
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    await store.put_file("file", tmp_path / "file", content_type="text/x-log", metadata={"forge-token": "8"})
    assert b"".join([chunk async for chunk in store.stream("file")]) == content
    assert await store.metadata("file") == {"forge-token": "8"}
    with urllib.request.urlopen(await store.presigned_url("file")) as answer:
        assert answer.headers["Content-Type"] == "text/x-log"


@pytest.mark.parametrize("size", [100, CHUNK + 1])
async def test_a_file_is_sent_again_from_its_beginning(configuration, tmp_path, busy_once, size):
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    store = S3ObjectStore(configuration.model_copy(update={"endpoint_url": busy_once.url}))
    await store.put_file("file", tmp_path / "file")
    assert busy_once.bodies == [content, content]


async def test_a_file_that_is_refused_names_the_cause(configuration, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * (CHUNK + 1))
    elsewhere = S3ObjectStore(configuration.model_copy(update={"bucket": "no-such-bucket"}))
    with pytest.raises(PlatformError) as caught:
        await elsewhere.put_file("file", tmp_path / "file")
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_listing_is_complete_and_deleting_what_is_gone_is_fine(store):
    for name in ("a/1", "a/2", "b/1"):
        await store.put(name, b"x")
    assert await store.list("a/") == ["a/1", "a/2"]
    await store.delete(["a/1", "a/2", "a/3"])
    assert await store.list("") == ["b/1"]


async def test_larger_than_allowed_is_an_error(store):
    await store.put("k", b"x" * 100)
    with pytest.raises(PlatformError, match="larger than 99 bytes"):
        await store.get("k", limit=99)


async def test_missing_object_is_not_found(store):
    with pytest.raises(PlatformError, match="nothing-here") as caught:
        await store.get("nothing-here", limit=1)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_presigned_url_needs_no_key(store):
    await store.put("k", b"content")
    with urllib.request.urlopen(await store.presigned_url("k")) as answer:
        assert answer.read() == b"content"


async def test_wrong_key_says_which_configuration_to_check(configuration, tmp_path):
    wrong = configuration.model_copy(update={"secret_key_file": secret_file(tmp_path, "wrong", "wr0ng-secret-key")})
    with pytest.raises(AuthenticationError, match="storage section") as caught:
        await S3ObjectStore(wrong).put("k", b"x")
    assert "wr0ng-secret-key" not in str(caught.value.to_detail())


async def test_store_that_is_down_is_a_passing_failure(configuration):
    down = configuration.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(TransientError, match="can't be reached"):
        await S3ObjectStore(down).put("k", b"x")


async def test_bucket_is_made_once(configuration):
    store = S3ObjectStore(configuration.model_copy(update={"bucket": "another-bucket"}))
    await store.ensure_bucket()
    await store.ensure_bucket()
    await store.put("k", b"x")
    assert await store.list("") == ["k"]


async def test_only_what_is_new_is_stored(store):
    assert await store.put_new("key", b"first", metadata={"owner": "1"})
    assert not await store.put_new("key", b"second")
    assert (await store.get("key", limit=10), await store.metadata("key")) == (b"first", {"owner": "1"})
