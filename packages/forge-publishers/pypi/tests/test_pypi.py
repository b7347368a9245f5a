import pytest
from distributions import REFERENCE, WHEEL, context, publish, request, wheel
from pydantic import ValidationError

from forge_sdk.errors import AlreadyExists, AuthenticationError, ConfigurationError, TransientError
from forge_sdk.models.artifacts import PreflightRequest
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.models.jobs import GitContext
from forge_sdk.plugins.files import file_facts
from forge_sdk.plugins.manager import load_plugins


async def test_publishes_what_an_installer_finds(index, tmp_path):
    path, given = wheel(tmp_path), context()
    response = await publish(request(tmp_path, index.url), given)
    assert response.uri == f"{index.url}greeting/"
    assert response.metadata == {"index_url": index.url, "package_name": "greeting", "version": "1.0"}
    assert (index.folder / WHEEL).read_bytes() == path.read_bytes()
    assert [file.state for file in given.published] == ["published"]


async def test_uploads_print_nothing(index, tmp_path, capfd):
    wheel(tmp_path)
    await publish(request(tmp_path, index.url), context())
    assert (index.folder / WHEEL).exists()
    assert capfd.readouterr().out == ""


async def test_publishing_again_is_identical(index, tmp_path):
    wheel(tmp_path)
    await publish(request(tmp_path, index.url), context())
    response = await publish(request(tmp_path, index.url), context())
    assert [file.state for file in response.files] == ["identical"]


async def test_other_content_is_a_conflict_with_both_digests(index, tmp_path):
    first = file_facts(wheel(tmp_path)).digest
    await publish(request(tmp_path, index.url), context())
    second = file_facts(wheel(tmp_path, "HELLO = 2\n")).digest
    with pytest.raises(AlreadyExists) as caught:
        await publish(request(tmp_path, index.url), context())
    assert (caught.value.existing_digest, caught.value.digest) == (first, second)
    assert file_facts(index.folder / WHEEL).digest == first


async def test_wrong_credentials_name_the_reference_and_not_the_value(index, tmp_path):
    wheel(tmp_path)
    with pytest.raises(AuthenticationError, match="publishers/pypi/token") as caught:
        await publish(request(tmp_path, index.url), context("ci:wrong-password"))
    assert "wrong-password" not in str(caught.value.to_detail())
    assert not list(index.folder.iterdir())


async def test_index_that_is_down_is_a_passing_failure(index, tmp_path):
    wheel(tmp_path)
    index.process.kill()
    index.process.wait()
    with pytest.raises(TransientError, match="can't be reached"):
        await publish(request(tmp_path, index.url), context())


async def test_preflight_warns_of_an_index_that_is_down(index, tmp_path):
    definition = ArtifactDefinition(name="wheel", type="archive", producer="python")
    asked = PreflightRequest(
        project="greeting",
        repository="acme/shop",
        commit_sha="a" * 40,
        git=GitContext(),
        artifact=definition,
        publisher="index",
        repo_config={"index_url": index.url, "credentials": REFERENCE},
    )
    publisher = load_plugins().publisher("pypi")
    assert (await publisher.preflight(asked, context())).warnings == ()
    index.process.kill()
    index.process.wait()
    assert "can't be reached" in (await publisher.preflight(asked, context())).warnings[0]


async def test_file_that_is_no_distribution_is_refused(index, tmp_path):
    (tmp_path / WHEEL).write_text("x")
    asked = request(tmp_path, index.url)
    bad = asked.artifact.output.model_copy(
        update={"files": (asked.artifact.output.files[0].model_copy(update={"path": "x.zip"}),)}
    )
    asked = asked.model_copy(update={"artifact": asked.artifact.model_copy(update={"output": bad})})
    with pytest.raises(ConfigurationError, match=r"x\.zip is neither a wheel"):
        await publish(asked, context())


@pytest.mark.parametrize(
    "url", ["http://packages.example.com/simple/", "https://user:password@packages.example.com/", "ftp://x/"]
)
def test_urls_that_would_leak_credentials_are_refused(url):
    with pytest.raises(ValidationError):
        load_plugins().publisher("pypi").repository_configuration(index_url=url)
