import asyncio
import tracemalloc

import pytest
from pydantic import ValidationError

from forge_sdk.errors import AlreadyExists, AuthenticationError, ConfigurationError, PlatformError, TransientError
from forge_sdk.plugins.manager import load_plugins
from forge_sdk.secrets import Secret

FOLDER = f"acme/shop/docs/{'a' * 40}/"


async def test_readers_get_the_file_with_its_headers(shelf):
    response = await shelf.publish(shelf.stage("tool.tar.gz", b"content"))
    key = f"{FOLDER}tool.tar.gz"
    assert response.uri == f"s3://{shelf.bucket}/{key}"
    assert response.metadata["public_url"].endswith(f"/{shelf.bucket}/{key}")
    found = shelf.get(key)
    assert (found["Body"], found["ContentType"]) == (b"content", "application/gzip")
    assert "immutable" in found["CacheControl"]
    assert [file.state for file in shelf.context.published] == ["published"]


async def test_again_is_identical_and_writes_nothing(shelf, intercept):
    file = shelf.stage("tool.zip", b"content")
    await shelf.publish(file)
    intercept("put", lambda original, *args, **kwargs: pytest.fail("written again"))
    assert [done.state for done in (await shelf.publish(file)).files] == ["identical"]


async def test_other_content_is_a_conflict_with_both_digests(shelf):
    first = shelf.stage("tool.zip", b"one")
    await shelf.publish(first)
    second = shelf.stage("tool.zip", b"two")
    with pytest.raises(AlreadyExists) as caught:
        await shelf.publish(second)
    assert (caught.value.existing_digest, caught.value.digest) == (first.digest, second.digest)
    assert shelf.get(f"{FOLDER}tool.zip")["Body"] == b"one"


async def test_a_writer_that_was_faster_is_not_overwritten(shelf, intercept):
    """The other one writes after our look: only the condition of the write itself can notice."""

    def slow_look(original, bucket, key):
        found = original(bucket, key)
        if found is None:
            shelf.client.put_object(Bucket=shelf.bucket, Key=key, Body=b"other")
        return found

    intercept("digest_of", slow_look)
    with pytest.raises(AlreadyExists):
        await shelf.publish(shelf.stage("tool.zip", b"content"))
    assert shelf.get(f"{FOLDER}tool.zip")["Body"] == b"other"


async def test_an_object_that_something_else_put_there_is_compared_by_content(shelf):
    shelf.client.put_object(Bucket=shelf.bucket, Key=f"{FOLDER}tool.zip", Body=b"content")
    response = await shelf.publish(shelf.stage("tool.zip", b"content"))
    assert response.files[0].state == "identical"


@pytest.fixture(params=["one request", "parts"])
def requests(request, monkeypatch):
    from forge_publisher_s3 import uploads

    if request.param == "parts":
        monkeypatch.setattr(uploads, "ONE_REQUEST", uploads.PART)


@pytest.mark.usefixtures("requests")
async def test_large_files_are_sent_with_flat_memory(shelf):
    from forge_publisher_s3.uploads import PART

    data = bytes(range(256)) * (PART // 256) * 12 + b"end"
    file = shelf.stage("big.zip", data)
    await shelf.publish(shelf.stage("warm-up.zip", b"1"))
    tracemalloc.start()
    await shelf.publish(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * PART
    assert shelf.get(f"{FOLDER}big.zip")["Body"] == data
    assert (await shelf.publish(file)).files[0].state == "identical"
    with pytest.raises(AlreadyExists):
        await shelf.publish(shelf.stage("big.zip", data[:-1] + b"D"))


@pytest.mark.usefixtures("requests")
async def test_a_file_that_changed_after_the_build_is_not_published(shelf):
    from forge_publisher_s3.uploads import PART

    for size in (10, PART + 1):
        file = shelf.stage("tool.zip", b"x" * size)
        (shelf.staging / "tool.zip").write_bytes(b"y" * size)
        with pytest.raises(PlatformError):
            await shelf.publish(file)
    assert shelf.stored() == []
    assert not shelf.client.list_multipart_uploads(Bucket=shelf.bucket).get("Uploads")


async def test_several_files_resume_where_they_were(shelf, intercept):
    files = [shelf.stage("one.zip", b"1"), shelf.stage("two.zip", b"2")]
    fails = [True]

    def put(original, bucket, key, content, body, **options):
        if key.endswith("two.zip") and fails[0]:
            raise PlatformError("stopped")
        return original(bucket, key, content, body, **options)

    intercept("put", put)
    with pytest.raises(PlatformError):
        await shelf.publish(*files)
    assert [done.state for done in shelf.context.published] == ["published"]
    fails[0] = False
    assert [done.state for done in (await shelf.publish(*files)).files] == ["identical", "published"]


async def test_keys_follow_the_configuration(shelf):
    shelf.repo_config["prefix"] = "downloads"
    shelf.project_config = {"key": "{project}/{tag}/", "cache_control": "no-cache"}
    await shelf.publish(shelf.stage("a/one.txt", b"1"), shelf.stage("two.json", b"2"))
    assert shelf.stored() == ["downloads/docs/v1.2/one.txt", "downloads/docs/v1.2/two.json"]
    found = shelf.get("downloads/docs/v1.2/one.txt")
    assert (found["ContentType"], found["CacheControl"]) == ("text/plain; charset=utf-8", "no-cache")
    shelf.project_config = {"key": "latest.txt"}
    await shelf.publish(shelf.stage("one.txt", b"1"))
    assert "downloads/latest.txt" in shelf.stored()


@pytest.mark.parametrize(
    ("key", "words"),
    [("{branch}/", "has no value here"), ("name", "names one object"), ("folder/", "have one name")],
)
async def test_keys_that_cannot_be_are_refused(shelf, key, words):
    shelf.project_config = {"key": key}
    with pytest.raises(ConfigurationError, match=words):
        await shelf.publish(shelf.stage("a/x.txt", b"1"), shelf.stage("b/x.txt", b"2"))
    assert shelf.stored() == []


async def test_wrong_credentials_name_the_reference_and_not_the_value(shelf):
    shelf.context.secrets = {next(iter(shelf.context.secrets)): Secret("forge:wrong-secret-key")}
    with pytest.raises(AuthenticationError, match="publishers/s3/token") as caught:
        await shelf.publish(shelf.stage("tool.zip", b"1"))
    assert "wrong-secret-key" not in str(caught.value.to_detail())
    with pytest.raises(AuthenticationError):
        await shelf.preflight()


async def test_a_secret_without_two_parts_is_named(shelf):
    shelf.context.secrets = {next(iter(shelf.context.secrets)): Secret("only-one-part")}
    with pytest.raises(ConfigurationError, match="access:secret") as caught:
        await shelf.preflight()
    assert "only-one-part" not in str(caught.value.to_detail())


async def test_preflight_says_what_is_in_the_way(shelf):
    assert await shelf.preflight() == ()
    shelf.project_config = {"key": "tool.zip"}
    file = shelf.stage("tool.zip", b"1")
    await shelf.publish(file)
    assert file.digest in (await shelf.preflight())[0]
    shelf.repo_config["bucket"] = "another-bucket"
    with pytest.raises(ConfigurationError, match="does not exist"):
        await shelf.preflight()


async def test_a_store_that_is_down_is_a_passing_failure(shelf, make_s3_server):
    server = make_s3_server()
    shelf.repo_config["endpoint"] = server.endpoint_url
    server.stop_blocking()
    with pytest.raises(TransientError, match="can't be reached"):
        await shelf.publish(shelf.stage("tool.zip", b"1"))
    assert "can't be reached" in (await shelf.preflight())[0]


@pytest.mark.usefixtures("requests")
async def test_cancellation_ends_an_upload(shelf, monkeypatch):
    from forge_publisher_s3 import uploads

    file = shelf.stage("big.zip", b"x" * (uploads.PART * 8))
    started, ended = asyncio.Event(), asyncio.Event()
    loop, original = asyncio.get_running_loop(), uploads._store

    def observed(*args, **kwargs):
        loop.call_soon_threadsafe(started.set)
        try:
            original(*args, **kwargs)
        finally:
            loop.call_soon_threadsafe(ended.set)

    monkeypatch.setattr(uploads, "_store", observed)
    task = asyncio.create_task(shelf.publish(file))
    await asyncio.wait_for(started.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 10)
    assert shelf.stored() == []
    assert not shelf.client.list_multipart_uploads(Bucket=shelf.bucket).get("Uploads")


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "http://s3.example.com"},
        {"endpoint": "https://user:password@s3.example.com"},
        {"public_url": "ftp://x"},
        {"bucket": "../other"},
        {"prefix": "/absolute"},
        {"prefix": "a/../b"},
        {"credentials": None},
    ],
)
def test_wrong_configurations_are_refused(changes):
    good = {"bucket": "files", "endpoint": "https://s3.example.com", "credentials": {"provider": "local", "key": "a"}}
    model = load_plugins().publisher("s3").repository_configuration
    model(**good)
    with pytest.raises(ValidationError):
        model(**{**good, **changes})
