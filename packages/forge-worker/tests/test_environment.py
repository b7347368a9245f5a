"""What steps see."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_worker.execution import Environments, ExecutionFacts, tool_caches
from forge_worker.execution.environment import inherited

FACTS = ExecutionFacts(
    repository="acme/shop",
    commit_sha="a" * 40,
    commit_time=1767323045,
    run_id="run",
    job_id="job",
    project="api",
    project_path="services/api",
    branch="main",
    extra={"FORGE_PHASE": "test"},
)


@pytest.fixture
def prepared(configuration):
    environments = Environments(configuration)
    return lambda: environments.prepared(FACTS)


async def test_facts_caches_and_private_folders(configuration, monkeypatch):
    monkeypatch.setenv("WORKER_SECRET", "x")
    async with Environments(configuration).prepared(FACTS) as environment:
        assert environment["CI"] == "true"
        assert environment["SOURCE_DATE_EPOCH"] == "1767323045"
        assert environment["FORGE_PHASE"] == "test"
        assert environment["FORGE_BRANCH"] == "main"
        assert "FORGE_TAG" not in environment
        assert "WORKER_SECRET" not in environment
        assert environment["PIP_CACHE_DIR"].startswith(str(configuration.cache.tools / "acme--shop"))
        home = environment["HOME"]
        assert os.listdir(home) == []


async def test_a_home_that_was_touched_is_not_given_again(prepared):
    async with prepared() as environment:
        touched = environment["HOME"]
        open(os.path.join(touched, "file"), "w").close()
        os.unlink(os.path.join(touched, "file"))
    async with prepared() as environment:
        assert environment["HOME"] != touched
        untouched = environment["HOME"]
    async with prepared() as environment:
        assert environment["HOME"] == untouched
        assert os.listdir(untouched) == []


async def test_two_tasks_share_caches_but_not_homes(prepared):
    async with prepared() as one, prepared() as two:
        assert one["GOCACHE"] == two["GOCACHE"]
        assert one["HOME"] != two["HOME"]


async def test_read_only_files_in_home_do_not_stay(prepared, configuration):
    async with prepared() as environment:
        folder = os.path.join(environment["HOME"], "go", "mod")
        os.makedirs(folder)
        with open(os.path.join(folder, "file"), "w"):
            pass
        os.chmod(folder, 0o500)
    assert list((configuration.cache.workspace / "private").iterdir()) == []


async def test_leftovers_of_a_crash_are_swept_but_not_what_is_in_use(configuration):
    environments = Environments(configuration)
    private = configuration.cache.workspace / "private"
    (private / "dead" / "home").mkdir(parents=True)
    (private / "dead.lock").touch()
    async with environments.prepared(FACTS) as environment:
        await environments.sweep()
        assert os.path.isdir(environment["HOME"])
        assert not (private / "dead").exists()


async def test_caches_that_grew_too_large_are_emptied(prepared, monkeypatch):
    monkeypatch.setattr(tool_caches, "TOOLS_SIZE", 10)
    monkeypatch.setattr(tool_caches, "MEASURE_EVERY_S", -1.0)
    async with prepared() as environment:
        cached = os.path.join(environment["PIP_CACHE_DIR"], "wheel")
        with open(cached, "wb") as file:
            file.write(b"x" * 100)
        async with prepared():
            assert os.path.exists(cached)
    async with prepared():
        assert not os.path.exists(cached)


def test_credentials_are_not_passed_through():
    worker = {
        "PATH": "/bin",
        "PIP_INDEX_URL": "https://user:secret@index.example.org/simple",
        "PIP_EXTRA_INDEX_URL": "https://index.example.org/simple",
        "UV_PUBLISH_TOKEN": "secret",
        "https_proxy": "http://proxy.example.org:3128",
        "FORGE_NATS__URL": "nats://x",
        "LC_ALL": "C.UTF-8",
        "HOME": "/root",
    }
    assert inherited(worker, ("PIP_*", "UV_*", "*_proxy", "FORGE_*")) == {
        "PATH": "/bin",
        "PIP_EXTRA_INDEX_URL": "https://index.example.org/simple",
        "https_proxy": "http://proxy.example.org:3128",
        "LC_ALL": "C.UTF-8",
    }


@given(user=st.from_regex(r"[a-z0-9._%-]{1,10}(:[a-z0-9._%!-]{1,10})?", fullmatch=True))
def test_no_value_with_user_information_passes(user):
    assert "PIP_INDEX_URL" not in inherited({"PIP_INDEX_URL": f"https://{user}@host/simple"}, ("PIP_*",))
