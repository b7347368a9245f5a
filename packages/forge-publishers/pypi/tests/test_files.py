"""Artifacts of several files, and what the two kinds of indexes tell of them."""

import urllib.request

import pytest
from distributions import SDIST, WHEEL, context, publish, request, sdist, wheel

from forge_sdk.errors import AlreadyExists, ConfigurationError, TransientError
from forge_sdk.plugins.files import file_facts

BOTH = (WHEEL, SDIST)


def states(files):
    return {file.file: file.state.value for file in files}


async def test_all_files_are_published(index, tmp_path):
    wheel(tmp_path), sdist(tmp_path)
    response = await publish(request(tmp_path, index.url, BOTH), context())
    assert states(response.files) == {WHEEL: "published", SDIST: "published"}
    assert {path.name for path in index.folder.iterdir()} == set(BOTH)


async def test_only_what_is_missing_is_published(index, tmp_path):
    wheel(tmp_path), sdist(tmp_path)
    await publish(request(tmp_path, index.url, (WHEEL,)), context())
    given = context()
    response = await publish(request(tmp_path, index.url, BOTH), given)
    assert states(response.files) == {WHEEL: "identical", SDIST: "published"}
    assert states(given.published) == states(response.files)


async def test_a_conflict_of_one_file_keeps_the_others_away(index, tmp_path):
    wheel(tmp_path)
    old = file_facts(sdist(tmp_path, b"OLD\n")).digest
    await publish(request(tmp_path, index.url, (SDIST,)), context())
    new = file_facts(sdist(tmp_path, b"NEW\n")).digest
    given = context()
    with pytest.raises(AlreadyExists) as caught:
        await publish(request(tmp_path, index.url, BOTH), given)
    assert (caught.value.existing_digest, caught.value.digest) == (old, new)
    assert [path.name for path in index.folder.iterdir()] == [SDIST]
    assert states(given.published) == {SDIST: "conflict"}
    assert given.published[0].error.context["existing_digest"] == old


async def test_the_ledger_knows_what_is_there_beside_a_conflict(index, tmp_path):
    wheel(tmp_path), sdist(tmp_path, b"OLD\n")
    await publish(request(tmp_path, index.url, BOTH), context())
    sdist(tmp_path, b"NEW\n")
    given = context()
    with pytest.raises(AlreadyExists):
        await publish(request(tmp_path, index.url, BOTH), given)
    assert states(given.published) == {WHEEL: "identical", SDIST: "conflict"}


async def test_an_upload_that_stopped_halfway_goes_on(index, tmp_path, monkeypatch):
    from forge_publisher_pypi.index import Index

    wheel(tmp_path), sdist(tmp_path)
    original = Index.upload

    def upload(self, path):
        if path.name == SDIST:
            raise TransientError("connection lost")
        original(self, path)

    monkeypatch.setattr(Index, "upload", upload)
    given = context()
    with pytest.raises(TransientError):
        await publish(request(tmp_path, index.url, BOTH), given)
    assert states(given.published) == {WHEEL: "published"}
    monkeypatch.undo()
    response = await publish(request(tmp_path, index.url, BOTH), context())
    assert states(response.files) == {WHEEL: "identical", SDIST: "published"}


async def test_an_answer_that_was_lost_is_no_conflict(index, tmp_path, monkeypatch):
    from forge_publisher_pypi.index import Index

    wheel(tmp_path)
    original, lost = Index.upload, [True]

    def upload(self, path):
        original(self, path)
        if lost:
            lost.clear()
            raise TransientError("connection lost")

    monkeypatch.setattr(Index, "upload", upload)
    response = await publish(request(tmp_path, index.url), context())
    assert states(response.files) == {WHEEL: "identical"}


async def test_an_index_without_sha256_is_compared_by_content(make_index, tmp_path):
    index = make_index("--hash-algo", "md5")
    wheel(tmp_path)
    await publish(request(tmp_path, index.url), context())
    assert states((await publish(request(tmp_path, index.url), context())).files) == {WHEEL: "identical"}
    wheel(tmp_path, "HELLO = 2\n")
    with pytest.raises(AlreadyExists):
        await publish(request(tmp_path, index.url), context())


async def test_files_of_two_versions_are_refused(index, tmp_path):
    wheel(tmp_path)
    sdist(tmp_path).rename(tmp_path / "greeting-2.0.tar.gz")
    with pytest.raises(ConfigurationError, match=r"greeting 1\.0, greeting 2\.0"):
        await publish(request(tmp_path, index.url, (WHEEL, "greeting-2.0.tar.gz")), context())


async def test_a_json_index_is_read_and_written(devpi, tmp_path):
    """Everything at once, since the server takes seconds to start."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    wheel(tmp_path), sdist(tmp_path)

    def asked(*names):
        return request(tmp_path, devpi.url, names)

    assert states((await publish(asked(WHEEL), context())).files) == {WHEEL: "published"}
    with urllib.request.urlopen(urllib.request.Request(f"{devpi.url}greeting/", headers=accept)) as page:
        assert page.headers.get_content_type() == accept["Accept"]
    assert states((await publish(asked(*BOTH), context())).files) == {WHEEL: "identical", SDIST: "published"}
    wheel(tmp_path, "HELLO = 2\n")
    given = context()
    with pytest.raises(AlreadyExists):
        await publish(asked(*BOTH), given)
    assert states(given.published) == {WHEEL: "conflict", SDIST: "identical"}
