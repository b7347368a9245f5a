"""The fixtures, as another package's tests use them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from forge_servers import testing

SETTINGS = """
[pytest]
filterwarnings = error
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""

USES_ALL = """
import os
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import boto3
import nats
import pytest

@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    postgres_server.create_database("template_of_tests")
    postgres_server.query("CREATE TABLE t (n int)", "template_of_tests")
    return "template_of_tests"

@pytest.mark.parametrize("n", [1, 2])
def test_each_test_has_its_own_database(postgres_server, postgres_database, n):
    assert postgres_database.startswith("postgresql://")
    name = postgres_database.rpartition("/")[2]
    postgres_server.query("INSERT INTO t VALUES (1)", name)
    assert postgres_server.query("SELECT count(*) FROM t", name) == "1"

def test_databases_of_earlier_tests_are_gone(postgres_server):
    assert postgres_server.query("SELECT count(*) FROM pg_database WHERE datname LIKE 'test\\\\_%'") == "0"

@pytest.mark.parametrize("n", [1, 2])
async def test_each_test_has_its_own_nats(nats_url, n):
    client = await nats.connect(nats_url)
    assert await client.jetstream().streams_info() == []
    await client.jetstream().add_stream(name="S", subjects=["s"])
    await client.close()

async def test_there_is_a_common_nats(nats_server):
    client = await nats.connect(nats_server.url)
    await client.close()

@pytest.mark.parametrize("n", [1, 2])
def test_each_test_has_its_own_bucket(s3_bucket, s3_client, n):
    assert s3_bucket.secret_key not in repr(s3_bucket)
    assert "KeyCount" in s3_client.list_objects_v2(Bucket=s3_bucket.bucket)
    assert s3_client.list_objects_v2(Bucket=s3_bucket.bucket)["KeyCount"] == 0
    s3_client.put_object(Bucket=s3_bucket.bucket, Key="k", Body=b"")

def test_where_the_folders_are(server_directory):
    Path(os.environ["PIDS"] + ".folder").write_text(str(server_directory("x").parent))

def test_there_is_a_registry(oci_registry):
    with urllib.request.urlopen(f"http://{oci_registry.host}/v2/", timeout=5) as answer:
        assert answer.status == 200

def test_own_instances(make_postgres_server, make_nats_server, make_s3_server, make_oci_registry):
    makers = make_postgres_server, make_nats_server, make_s3_server, make_oci_registry
    Path(os.environ["PIDS"]).write_text(" ".join(str(make().pid) for make in makers))

def test_own_instances_are_gone(request):
    for pid in Path(os.environ["PIDS"]).read_text().split():
        assert not os.path.exists(f"/proc/{pid}")
"""


def test_the_fixtures_work_and_leave_nothing(pytester, monkeypatch, tmp_path):
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    pytester.makeini(SETTINGS)
    pytester.makepyfile(USES_ALL)
    pytester.runpytest_subprocess().assert_outcomes(passed=12)
    assert not Path((tmp_path / "pids.folder").read_text()).exists()
    monkeypatch.undo()


def test_the_fixtures_work_without_pytest_asyncio(pytester):
    pytester.makepyfile("def test_it(postgres_database, s3_bucket, oci_registry, nats_url): pass")
    pytester.runpytest_subprocess("-p", "no:asyncio").assert_outcomes(passed=1)


def test_no_server_is_started_that_no_test_asks_for(pytester):
    pytester.makepyfile("import sys\ndef test_it(): assert 'boto3' not in sys.modules")
    result = pytester.runpytest_subprocess("--setup-only")
    assert "server_directory" not in result.stdout.str()


@pytest.mark.parametrize(("ci", "outcome"), [("false", "skipped"), ("true", "failed")])
def test_a_missing_component_skips_here_and_fails_in_ci(pytester, monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    pytester.makepyfile(
        """
        import pytest
        from forge_servers import programs
        from forge_servers.testing import require

        def test_server(monkeypatch):
            monkeypatch.setattr(programs, "POSTGRES_PACKAGE", "no_such_package")
            require("postgres")

        def test_program():
            require("no-such-program")

        @pytest.mark.parametrize("there", ["postgres", "nats", "s3", "oci", "sh"])
        def test_there(there):
            require(there)
        """
    )
    result = pytester.runpytest_subprocess("-rs")
    result.assert_outcomes(passed=5, **{outcome: 2})
    result.stdout.fnmatch_lines_random(
        ["*pip install 'catalyst-forge-servers?all?'*", "*no-such-program is not on PATH: install it*"]
    )
    monkeypatch.undo()


@pytest.mark.parametrize(("free", "expected"), [(0, None), (2**40, testing.MEMORY)])
def test_folders_are_in_memory_only_where_that_has_room(monkeypatch, free, expected):
    monkeypatch.setattr(testing.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert testing._roomy_memory() == expected
