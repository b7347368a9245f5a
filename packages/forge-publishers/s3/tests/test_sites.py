import json
import uuid

import pytest
from packed import SITE, tar_gz, zipped

from forge_sdk.errors import AlreadyExists, ConfigurationError, PlatformError
from forge_sdk.identifiers import uuid7

KEY = "acme/shop/docs/"
RECORD = f"{KEY}.forge-site.json"


def pages(shelf):
    return {key.removeprefix(KEY): shelf.get(key)["Body"] for key in shelf.stored() if key != RECORD}


async def test_readers_get_every_page_with_its_type(shelf):
    response = await shelf.publish_site({**SITE, "app.3f2a1b9c8d.js": b"1"})
    assert response.metadata["public_url"].endswith(f"{KEY}index.html")
    assert pages(shelf) == {**SITE, "app.3f2a1b9c8d.js": b"1"}
    index = shelf.get(f"{KEY}index.html")
    assert (index["ContentType"], index["CacheControl"]) == (
        "text/html; charset=utf-8",
        "public, max-age=0, must-revalidate",
    )
    assert shelf.get(f"{KEY}css/site.css")["ContentType"] == "text/css; charset=utf-8"
    assert "immutable" in shelf.get(f"{KEY}app.3f2a1b9c8d.js")["CacheControl"]


async def test_a_zip_archive_is_a_site_too(shelf):
    shelf.project_config = {"site": True}
    await shelf.publish(shelf.stage("site.zip", zipped(SITE)))
    assert pages(shelf) == SITE


async def test_a_new_site_takes_the_place_of_the_old_one(shelf):
    await shelf.publish_site(SITE)
    await shelf.publish_site({"index.html": b"new", "css/new.css": b"b{}"})
    assert pages(shelf) == {"index.html": b"new", "css/new.css": b"b{}"}
    record = json.loads(shelf.get(RECORD)["Body"])
    assert (record["project"], record["stale"]) == ("acme/shop/docs", [])


async def test_no_page_ever_leads_to_what_is_not_there(shelf, intercept):
    """At every write the start page that readers get finds its own style sheet."""
    old = {"index.html": b"old.css", "old.css": b""}
    new = {"index.html": b"new.css", "new.css": b"", "about.html": b"new.css"}
    await shelf.publish_site(old)

    def check():
        there = shelf.stored()
        for page in ("index.html", "about.html"):
            if KEY + page in there:
                assert KEY + shelf.get(KEY + page)["Body"].decode() in there
        assert f"{KEY}index.html" in there

    for name in ("put", "write", "delete"):

        def observed(original, *args, **kwargs):
            check()
            result = original(*args, **kwargs)
            check()
            return result

        intercept(name, observed)
    await shelf.publish_site(new)
    assert set(pages(shelf)) == set(new)


async def test_the_same_site_again_is_identical(shelf, intercept):
    await shelf.publish_site(SITE)
    for name in ("put", "write", "delete"):
        intercept(name, lambda original, *args, **kwargs: pytest.fail("written again"))
    assert [file.state for file in (await shelf.publish_site(SITE)).files] == ["identical"]


@pytest.mark.parametrize("stop_at", range(7))
async def test_a_crash_at_any_write_is_made_good_by_the_next_try(shelf, intercept, stop_at):
    await shelf.publish_site({"index.html": b"old", "old.html": b"old"})
    writes = []

    def crash(original, *args, **kwargs):
        writes.append(args[1])
        if len(writes) == stop_at + 1:
            raise PlatformError("crash")
        return original(*args, **kwargs)

    for name in ("put", "write", "delete"):
        intercept(name, crash)
    new = {"index.html": b"new", "new.html": b"new", "other.html": b"new"}
    release = uuid7()
    with pytest.raises(PlatformError, match="crash"):
        await shelf.publish_site(new, release_id=release)
    assert f"{KEY}index.html" in shelf.stored()
    await shelf.publish_site(new, release_id=release)
    assert pages(shelf) == new


async def test_what_a_crashed_release_left_goes_with_the_next_release(shelf, intercept):
    fails = [True]

    def put(original, bucket, key, content, body, **options):
        if key.endswith("index.html") and fails[0]:
            raise PlatformError("crash")
        return original(bucket, key, content, body, **options)

    intercept("put", put)
    with pytest.raises(PlatformError):
        await shelf.publish_site({"index.html": b"1", "only-in-the-first.html": b"1"})
    fails[0] = False
    await shelf.publish_site({"index.html": b"2"})
    assert pages(shelf) == {"index.html": b"2"}


async def test_a_late_retry_does_not_take_the_site_back(shelf):
    earlier, later = uuid7(), uuid.UUID(int=uuid7().int + (1 << 80))
    await shelf.publish_site({"index.html": b"new"}, release_id=later)
    with pytest.raises(AlreadyExists, match="later release"):
        await shelf.publish_site({"index.html": b"old"}, release_id=earlier)
    assert pages(shelf) == {"index.html": b"new"}


async def test_two_releases_at_once_leave_one_whole_site(shelf, intercept):
    """The second one begins and ends in the middle of the first one, which then starts anew and finds itself late."""
    earlier, later = uuid7(), uuid.UUID(int=uuid7().int + (1 << 80))
    other = [True]
    seen = []

    def put(original, bucket, key, content, body, **options):
        if other[0]:
            other[0] = False
            from forge_publisher_s3.bucket import Bucket
            from forge_publisher_s3.site import Release, Site

            site = Site(Bucket(bucket.client, bucket.name, ""), KEY)
            release = Release("acme/shop/docs", later, "b" * 40, "sha256:" + "b" * 64)
            claimed = site.begin(release, ["index.html"])
            shelf.client.put_object(Bucket=shelf.bucket, Key=f"{KEY}index.html", Body=b"later")
            site.finish(claimed, release, ["index.html"])
            seen.append(True)
        return original(bucket, key, content, body, **options)

    intercept("put", put)
    with pytest.raises(AlreadyExists):
        await shelf.publish_site({"a.html": b"earlier", "index.html": b"earlier"}, release_id=earlier)
    assert seen
    assert json.loads(shelf.get(RECORD)["Body"])["digest"] == "sha256:" + "b" * 64


async def test_a_folder_of_somebody_else_is_left_alone(shelf):
    shelf.client.put_object(Bucket=shelf.bucket, Key=f"{KEY}index.html", Body=b"by hand")
    with pytest.raises(ConfigurationError, match="no release put there"):
        await shelf.publish_site(SITE)
    shelf.client.delete_object(Bucket=shelf.bucket, Key=f"{KEY}index.html")
    shelf.client.put_object(
        Bucket=shelf.bucket, Key=RECORD, Body=json.dumps({"schemaVersion": "1.0", "project": "acme/shop/web"}).encode()
    )
    with pytest.raises(ConfigurationError, match="site of acme/shop/web"):
        await shelf.publish_site(SITE)


async def test_a_folder_in_a_folder_is_explained(shelf):
    with pytest.raises(ConfigurationError, match="pack the content"):
        await shelf.publish_site({"site/index.html": b"1"})
    assert shelf.stored() == []


async def test_a_hostile_archive_publishes_nothing(shelf):
    with pytest.raises(PlatformError, match="leads out"):
        await shelf.publish_site({"index.html": b"1", "../../evil.html": b"1"})
    assert shelf.stored() == []


async def test_a_site_is_one_archive(shelf):
    shelf.project_config = {"site": True}
    files = [shelf.stage(name, tar_gz(SITE)) for name in ("a.tar.gz", "b.tar.gz")]
    with pytest.raises(ConfigurationError, match="one archive"):
        await shelf.publish(*files)
