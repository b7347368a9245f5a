"""What steps see."""

import os

from hypothesis import given
from hypothesis import strategies as st

from forge_worker.execution import ExecutionFacts, execution_environment
from forge_worker.execution import environment as module
from forge_worker.execution.environment import inherited, sweep_private_folders

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


async def test_facts_caches_and_private_folders(configuration, monkeypatch):
    monkeypatch.setenv("WORKER_SECRET", "x")
    async with execution_environment(configuration, FACTS) as environment:
        assert environment["CI"] == "true"
        assert environment["SOURCE_DATE_EPOCH"] == "1767323045"
        assert environment["FORGE_PHASE"] == "test"
        assert environment["FORGE_BRANCH"] == "main"
        assert "FORGE_TAG" not in environment
        assert "WORKER_SECRET" not in environment
        assert environment["PIP_CACHE_DIR"].startswith(str(configuration.cache.tools / "acme--shop"))
        home = environment["HOME"]
        assert os.listdir(home) == []
    assert not os.path.exists(home)


async def test_two_tasks_share_caches_but_not_homes(configuration):
    async with execution_environment(configuration, FACTS) as one, execution_environment(configuration, FACTS) as two:
        assert one["GOCACHE"] == two["GOCACHE"]
        assert one["HOME"] != two["HOME"]


async def test_read_only_files_in_home_do_not_stay(configuration):
    async with execution_environment(configuration, FACTS) as environment:
        folder = os.path.join(environment["HOME"], "go", "mod")
        os.makedirs(folder)
        with open(os.path.join(folder, "file"), "w"):
            pass
        os.chmod(folder, 0o500)
    assert list((configuration.cache.workspace / "private").iterdir()) == []


async def test_leftovers_of_a_crash_are_swept_but_not_what_is_in_use(configuration):
    private = configuration.cache.workspace / "private"
    (private / "dead" / "home").mkdir(parents=True)
    (private / "dead.lock").touch()
    async with execution_environment(configuration, FACTS) as environment:
        await sweep_private_folders(configuration.cache.workspace)
        assert os.path.isdir(environment["HOME"])
        assert not (private / "dead").exists()


async def test_caches_that_grew_too_large_are_emptied(configuration, monkeypatch):
    monkeypatch.setattr(module, "TOOLS_SIZE", 10)
    monkeypatch.setattr(module, "MEASURE_EVERY_S", -1.0)
    async with execution_environment(configuration, FACTS) as environment:
        cached = os.path.join(environment["PIP_CACHE_DIR"], "wheel")
        with open(cached, "wb") as file:
            file.write(b"x" * 100)
        async with execution_environment(configuration, FACTS):
            assert os.path.exists(cached)
    async with execution_environment(configuration, FACTS):
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
