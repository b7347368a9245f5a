import asyncio
import json
import random
import time
import tracemalloc

import bcrypt
import pytest

from forge_oci.core.digests import digest_bytes
from forge_oci.core.image import Image
from forge_oci.core.manifest import (
    EMPTY_CONFIG,
    EMPTY_DESCRIPTOR,
    Descriptor,
    Manifest,
    encode_index,
    parse_manifest,
)
from forge_oci.core.names import referrers_tag
from forge_oci.core.publications import PUBLICATIONS_TYPE, pack_publications
from forge_oci.core.release import pack_release, unpack_release
from forge_oci.registry import Credentials, RegistryClient
from forge_sdk.errors import (
    AlreadyExists,
    AuthenticationError,
    ConfigurationError,
    ErrorCode,
    PlatformError,
    TransientError,
)
from forge_sdk.retry import RetryPolicy

QUICK = RetryPolicy(attempts=3, base_delay=0.01, max_delay=0.02, jitter=0)


def through(gateway, **options):
    return RegistryClient(gateway.host, plain_http=True, retry=QUICK, **options)


def image_of(*blobs):
    layers = [Descriptor("application/octet-stream", digest_bytes(blob), len(blob)) for blob in blobs]
    content = {layer.digest: blob for layer, blob in zip(layers, blobs, strict=True)}
    manifest = Manifest(EMPTY_DESCRIPTOR, tuple(layers), "application/x.test")
    return Image(manifest.encode(), {EMPTY_DESCRIPTOR.digest: EMPTY_CONFIG, **content})


async def test_an_image_survives_the_registry(client, repository, release):
    digest = await client.push(release, repository, ["v1", "latest"])
    assert digest == release.digest
    assert await client.pull(repository, "v1") == release
    assert await client.pull(repository, digest) == release
    assert await client.tags(repository) == ["latest", "v1"]
    assert unpack_release(await client.pull(repository, "latest")).files["a/b.yaml"] == b"x: 1\n"


async def test_an_image_without_tags_is_found_by_its_digest(client, repository, release):
    await client.push(release, repository)
    assert (await client.pull(repository, release.digest)).digest == release.digest


async def test_an_empty_blob_survives(client, repository, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    image = image_of(b"")
    image = image._replace(blobs={**image.blobs, digest_bytes(b""): tmp_path / "empty"})
    await client.push(image, repository, ["v1"])
    assert (await client.pull(repository, "v1")).blobs[digest_bytes(b"")] == b""


async def test_what_is_absent_resolves_to_nothing(client, repository):
    assert await client.resolve(repository, "v1") is None
    assert await client.tags(repository) == []
    assert await client.referrers(repository, "sha256:" + "0" * 64) == []


async def test_pulling_what_is_absent_says_so(client, repository):
    with pytest.raises(PlatformError) as caught:
        await client.pull(repository, "v1")
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_an_immutable_tag_is_never_moved(client, repository, release):
    await client.push(release, repository, ["v1"], immutable=True)
    other = pack_release({}, {})
    with pytest.raises(AlreadyExists) as caught:
        await client.push(other, repository, ["v1"], immutable=True)
    assert (caught.value.existing_digest, caught.value.digest) == (release.digest, other.digest)
    assert await client.resolve(repository, "v1") == release.digest


async def test_the_same_image_may_be_pushed_under_its_immutable_tag_again(client, repository, release):
    await client.push(release, repository, ["v1"], immutable=True)
    assert await client.push(release, repository, ["v1"], immutable=True) == release.digest


async def test_a_blob_that_is_there_is_not_sent_again(gateway, repository, release):
    async with through(gateway) as client:
        await client.push(release, repository, ["v1"])
        gateway.requests.clear()
        await client.push(release, repository, ["v2"])
    assert [method for method, _ in gateway.requests if method != "HEAD"] == ["PUT"]


async def test_large_files_are_streamed(client, repository, tmp_path):
    size = 48 * 1024 * 1024
    (tmp_path / "blob").write_bytes(random.randbytes(size))
    digest = digest_bytes((tmp_path / "blob").read_bytes())
    manifest = Manifest(EMPTY_DESCRIPTOR, (Descriptor("application/octet-stream", digest, size),), "application/x.test")
    image = Image(manifest.encode(), {EMPTY_DESCRIPTOR.digest: EMPTY_CONFIG, digest: tmp_path / "blob"})
    (tmp_path / "pulled").mkdir()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    await client.push(image, repository, ["v1"])
    pulled = await client.pull(repository, "v1", directory=tmp_path / "pulled")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    pulled.verify()
    assert peak - before < size / 2


async def test_an_image_above_the_limit_is_not_downloaded(gateway, repository, release):
    async with through(gateway) as client:
        await client.push(release, repository, ["v1"])
        gateway.requests.clear()
        with pytest.raises(PlatformError, match="at most 10 are accepted"):
            await client.pull(repository, "v1", max_bytes=10)
    assert not [path for _, path in gateway.requests if "/blobs/" in path]


def flip(kind):
    def change(method, path, answer):
        status, headers, content = answer
        return (status, headers, content[:-2] + b"??") if method == "GET" and kind in path else answer

    return change


@pytest.mark.parametrize("kind", ["/blobs/", "/manifests/"])
async def test_tampered_content_is_refused(gateway, repository, release, kind):
    async with through(gateway) as client:
        await client.push(release, repository, ["v1"])
        gateway.change = flip(kind)
        with pytest.raises(PlatformError) as caught:
            await client.pull(repository, release.digest)
    assert caught.value.context["reason"] == "digest_mismatch"


async def test_a_tampered_file_is_removed(gateway, repository, release, tmp_path):
    async with through(gateway) as client:
        await client.push(release, repository, ["v1"])
        gateway.change = flip("/blobs/")
        with pytest.raises(PlatformError):
            await client.pull(repository, "v1", directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_longer_blob_is_refused(gateway, repository, release):
    async with through(gateway) as client:
        await client.push(release, repository, ["v1"])
        gateway.change = lambda method, path, answer: (
            (*answer[:2], answer[2] + b"more") if method == "GET" and "/blobs/" in path else answer
        )
        with pytest.raises(PlatformError, match="sent more than"):
            await client.pull(repository, "v1")


def fail_first(times, status, headers):
    left = [times]

    def intercept(method, path, body):
        if method == "PUT" and left[0]:
            left[0] -= 1
            return status, headers, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'
        return None

    return intercept


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_transient_failures_are_tried_again(gateway, repository, status):
    gateway.intercept = fail_first(2, status, {})
    image = image_of(b"some", b"blobs")
    async with through(gateway) as client:
        assert await client.push(image, repository, ["v1"]) == image.digest


async def test_retry_after_wins(gateway, repository, release):
    gateway.intercept = fail_first(1, 429, {"Retry-After": "1"})
    started = time.monotonic()
    async with through(gateway) as client:
        await client.push(release, repository, ["v1"])
    assert time.monotonic() - started >= 1


async def test_the_registrys_words_are_passed_on(gateway, repository, release):
    gateway.intercept = fail_first(100, 503, {})
    async with through(gateway) as client:
        with pytest.raises(TransientError, match="TOOMANYREQUESTS: slow down"):
            await client.push(release, repository, ["v1"])


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_final(gateway, repository, status):
    gateway.intercept = lambda method, path, body: (status, {}, b"")
    async with through(gateway) as client:
        with pytest.raises(AuthenticationError):
            await client.resolve(repository, "v1")
    assert len(gateway.requests) == 1


async def test_a_registry_that_is_down_is_a_transient_failure(unused_tcp_port, repository):
    async with RegistryClient(f"127.0.0.1:{unused_tcp_port}", plain_http=True, retry=QUICK) as client:
        with pytest.raises(TransientError, match="cannot be reached"):
            await client.resolve(repository, "v1")


async def test_a_silent_registry_runs_into_the_timeout(repository):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, RegistryClient(host, plain_http=True, retry=RetryPolicy(attempts=1), timeout=0.2) as client:
        with pytest.raises(TransientError):
            await client.resolve(repository, "v1")


def test_plain_http_stays_on_this_machine():
    with pytest.raises(ConfigurationError, match="plain http"):
        RegistryClient("registry.example:5000", plain_http=True)
    RegistryClient("registry.example:5000", plain_http=True, allow_remote_plain_http=True)


async def test_https_is_not_dropped(oci_registry, repository):
    async with RegistryClient(oci_registry.host, retry=QUICK) as client:
        with pytest.raises(PlatformError):
            await client.resolve(repository, "v1")


async def test_tokens_are_asked_for_each_kind_of_access(gateway, repository, release):
    gateway.login = "user:secret"
    async with through(gateway, credentials=Credentials("user", "secret")) as client:
        await client.resolve(repository, "v1")
        await client.push(release, repository, ["v1"])
        assert await client.pull(repository, "v1") == release
    assert set(gateway.tokens.values()) == {f"repository:{repository}:pull", f"repository:{repository}:pull,push"}


async def test_an_expired_token_is_renewed(gateway, repository, release, tmp_path):
    gateway.login = "user:secret"
    (tmp_path / "blob").write_bytes(b"content of a file")
    image = image_of(b"content of a file")
    image = image._replace(blobs={**image.blobs, digest_bytes(b"content of a file"): tmp_path / "blob"})
    async with through(gateway, credentials=lambda host: Credentials("user", "secret")) as client:
        await client.push(release, repository, ["v1"])

        def expire(method, path, body):
            if method == "POST":
                gateway.tokens.clear()
                gateway.intercept = lambda method, path, body: None

        gateway.intercept = expire
        await client.push(image, repository, ["v2"])
        gateway.tokens.clear()
        assert (await client.pull(repository, "v2")).digest == image.digest


async def test_a_wrong_password_fails_at_once_and_is_not_told(gateway, repository):
    gateway.login = "user:secret"
    async with through(gateway, credentials=Credentials("user", "hunter2")) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.resolve(repository, "v1")
    assert "wrong password" in str(caught.value)
    assert "hunter2" not in repr(caught.value) + str(caught.value.to_detail())
    assert len(gateway.requests) == 2


def test_credentials_do_not_show():
    assert "hunter2" not in f"{Credentials('user', 'hunter2')} {Credentials('user', 'hunter2')!r}"


@pytest.fixture
def basic_registry(make_oci_registry, tmp_path):
    (tmp_path / "htpasswd").write_bytes(b"user:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(5)) + b"\n")
    return make_oci_registry(htpasswd=tmp_path / "htpasswd")


async def test_basic_authentication(basic_registry, repository, release):
    credentials = Credentials("user", "secret")
    async with RegistryClient(basic_registry.host, plain_http=True, retry=QUICK, credentials=credentials) as client:
        await client.push(release, repository, ["v1"])
        assert await client.pull(repository, "v1") == release


async def test_credentials_come_from_dockers_configuration(basic_registry, repository, release, tmp_path, monkeypatch):
    docker = {"auths": {basic_registry.host: {"auth": "dXNlcjpzZWNyZXQ="}}}
    (tmp_path / "config.json").write_text(json.dumps(docker))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with RegistryClient(basic_registry.host, plain_http=True, retry=QUICK) as client:
        assert await client.push(release, repository, ["v1"]) == release.digest


@pytest.mark.parametrize("credentials", [Credentials("user", "wrong"), lambda host: None])
async def test_wrong_basic_credentials_fail(basic_registry, repository, credentials):
    async with RegistryClient(basic_registry.host, plain_http=True, retry=QUICK, credentials=credentials) as client:
        with pytest.raises(AuthenticationError):
            await client.resolve(repository, "v1")


async def test_referrers_are_found_through_the_fallback_tag(client, repository, tracking):
    await client.push(tracking, repository, ["v1"])
    images = [pack_publications([{"n": n}], tracking.descriptor, sequence=n) for n in (1, 2)]
    for image in images:
        await client.attach(image, repository)
    found = await client.referrers(repository, tracking.digest, PUBLICATIONS_TYPE)
    assert {entry.digest for entry in found} == {image.digest for image in images}
    assert found[0].annotations["org.catalyst-forge.publications.sequence"] == "1"
    assert await client.referrers(repository, tracking.digest, "application/other") == []


async def test_writers_of_one_subject_lose_nothing(client, repository, tracking):
    await client.push(tracking, repository)
    images = [pack_publications([], tracking.descriptor, sequence=n) for n in range(6)]
    await asyncio.gather(*(client.attach(image, repository) for image in images))
    assert len(await client.referrers(repository, tracking.digest)) == 6


async def test_attaching_twice_lists_once(client, repository, tracking):
    image = pack_publications([], tracking.descriptor, sequence=1)
    await client.attach(image, repository)
    await client.attach(image, repository)
    assert len(await client.referrers(repository, tracking.digest)) == 1


async def test_the_referrers_api_is_used_where_there_is_one(gateway, repository, tracking):
    entries = []

    def intercept(method, path, body):
        if "/referrers/" in path:
            return 200, {"Content-Type": "application/vnd.oci.image.index.v1+json"}, encode_index(entries)
        return None

    def change(method, path, answer):
        if method == "PUT" and "/manifests/sha256:" in path:
            answer[1]["OCI-Subject"] = tracking.digest
            image = pack_publications([], tracking.descriptor, sequence=1)
            entries.append(image.descriptor._replace(artifact_type=parse_manifest(image.manifest_bytes).artifact_type))
        return answer

    gateway.intercept, gateway.change = intercept, change
    async with through(gateway) as client:
        image = pack_publications([], tracking.descriptor, sequence=1)
        await client.attach(image, repository)
        found = await client.referrers(repository, tracking.digest, PUBLICATIONS_TYPE)
        assert [entry.digest for entry in found] == [image.digest]
        assert await client.resolve(repository, referrers_tag(tracking.digest)) is None


async def test_lists_are_followed_over_pages(gateway, repository):
    def intercept(method, path, body):
        if "tags/list" not in path:
            return None
        if "last=" in path:
            return 200, {}, b'{"tags":["b"]}'
        return 200, {"Link": f'</v2/{repository}/tags/list?last=a>; rel="next"'}, b'{"tags":["a"]}'

    gateway.intercept = intercept
    async with through(gateway) as client:
        assert await client.tags(repository) == ["a", "b"]


async def test_a_page_on_another_host_is_refused(gateway, repository):
    gateway.intercept = lambda method, path, body: (200, {"Link": '<http://127.0.0.2/x>; rel="next"'}, b'{"tags":[]}')
    async with through(gateway) as client:
        with pytest.raises(PlatformError, match="another host"):
            await client.tags(repository)


@pytest.mark.parametrize("name", ["UPPER/case", "../x", "a b"])
async def test_names_are_checked_before_anything_is_sent(client, name):
    with pytest.raises(PlatformError):
        await client.resolve(name, "v1")


async def test_a_cancelled_push_ends_soon(gateway, repository, release):
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def intercept(method, path, body):
        loop.call_soon_threadsafe(entered.set)

    gateway.intercept = intercept
    async with through(gateway) as client:
        task = asyncio.create_task(client.push(release, repository, ["v1"]))
        await asyncio.wait_for(entered.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
