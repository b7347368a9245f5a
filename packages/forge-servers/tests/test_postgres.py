import os
import pwd
import signal
import subprocess
from pathlib import Path

import asyncpg
import pytest

from forge_servers import PostgresServer, ServerError, privilege

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")
BUSY = "SELECT count(*) FROM generate_series(1, 1000000000000)"


async def test_a_client_connects_by_port_and_by_socket(postgres_server):
    for host in (postgres_server.host, str(postgres_server.socket_directory)):
        connection = await asyncpg.connect(
            host=host, port=postgres_server.port, user="forge", password=postgres_server.password, database="postgres"
        )
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
        await connection.close()


@pytest.mark.parametrize("by_socket", [False, True])
async def test_a_wrong_password_is_refused(postgres_server, by_socket):
    host = str(postgres_server.socket_directory) if by_socket else postgres_server.host
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=host, port=postgres_server.port, user="forge", password="wrong", database="postgres")


def test_committed_rows_survive_a_kill(directory):
    with PostgresServer(directory) as server:
        server.query("CREATE TABLE t AS SELECT generate_series(1, 5000) AS n")
        os.kill(server.pid, signal.SIGKILL)
        server.wait_blocking(10)
        server.start_blocking()
        assert server.query("SELECT count(*) FROM t") == "5000"


def test_data_and_password_are_kept_for_another_object(directory):
    with PostgresServer(directory, durable=False) as server:
        server.query("CREATE TABLE t (n int)")
        password = server.password
    with PostgresServer(directory, durable=False) as again:
        assert again.password == password
        assert again.query("SELECT count(*) FROM t") == "0"


def test_a_session_that_goes_on_after_the_kill_is_no_obstacle(directory, processes_of, wait_until):
    with PostgresServer(directory, durable=False) as server:
        client = subprocess.Popen([server.programs / "psql", server.dsn(), "-c", BUSY], stderr=subprocess.DEVNULL)
        wait_until(
            lambda: server.query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%1000000000000)'") == "1"
        )
        os.kill(server.pid, signal.SIGKILL)
        server.wait_blocking(10)
        server.start_blocking()
        assert server.query("SELECT 1") == "1"
        client.wait(10)


def test_a_stale_pid_file_that_names_a_living_process_is_no_obstacle(directory):
    with PostgresServer(directory, durable=False) as server:
        os.kill(server.pid, signal.SIGKILL)
        server.wait_blocking(10)
        pid_file = directory / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
        server.start_blocking()
        assert server.query("SELECT 1") == "1"


def test_unfinished_data_of_a_killed_start_is_made_anew(directory):
    (directory / "initdb" / "data").mkdir(parents=True)
    (directory / "initdb" / "data" / "PG_VERSION").write_text("18\n")
    with PostgresServer(directory, durable=False) as server:
        assert server.query("SELECT 1") == "1"
    assert not (directory / "initdb").exists()


def test_data_of_another_version_is_refused(directory):
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServerError, match="written by PostgreSQL 16, this is 18: dump it"):
        PostgresServer(directory, durable=False).start_blocking()


def test_a_failed_making_of_the_data_is_reported_with_its_log_and_may_be_repeated(directory, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("forge_servers.postgres_cluster.INITDB_TIMEOUT", 0.0)
        with pytest.raises(ServerError, match=r"initdb was not done in time.*initdb\.log"):
            PostgresServer(directory, durable=False).start_blocking()
    with PostgresServer(directory, durable=False) as server:
        assert server.query("SELECT 1") == "1"


def test_a_long_directory_gets_a_short_socket_path_that_differs_per_directory(directory):
    servers = [PostgresServer(directory / ("x" * 100) / name, durable=False) for name in "ab"]
    with servers[0] as server:
        assert (server.socket_directory / f".s.PGSQL.{server.port}").is_socket()
        assert not servers[0].socket_directory.is_relative_to(directory)
    assert servers[0].socket_directory != servers[1].socket_directory
    assert not servers[0].socket_directory.exists()


def test_a_socket_folder_that_others_may_enter_is_refused(directory):
    (directory / "run").mkdir(parents=True)
    (directory / "run").chmod(0o777)
    with pytest.raises(ServerError, match="only this user may enter: remove it"):
        PostgresServer(directory, durable=False).start_blocking()


def test_the_password_is_in_a_file_only_the_owner_reads_and_in_no_log(directory):
    with PostgresServer(directory, durable=False) as server:
        assert (directory / "password").stat().st_mode & 0o777 == 0o600
        assert all(server.password not in log.read_text() for log in directory.glob("*.log"))
        assert server.password not in Path(f"/proc/{server.pid}/cmdline").read_text()


def test_settings_reach_the_server(make_postgres_server):
    server = make_postgres_server(durable=False, settings={"max_connections": "17"})
    assert server.query("SHOW max_connections") == "17"
    assert server.query("SHOW fsync") == "off"


def test_nothing_is_traded_for_speed_by_default(directory):
    with PostgresServer(directory) as server:
        assert server.query("SELECT setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')") == "on\non"


def test_a_refused_statement_says_why(postgres_server):
    with pytest.raises(ServerError, match='relation "nowhere" does not exist'):
        postgres_server.query("SELECT * FROM nowhere")


@pytest.mark.parametrize("name", ["", "Upper", "a b", 'a"; DROP TABLE t', "1a", "x" * 64, "a\n"])
def test_a_name_that_would_need_quoting_is_refused(postgres_server, name):
    with pytest.raises(ServerError, match="is not a name for PostgreSQL"):
        postgres_server.create_database(name)


@as_root
def test_root_is_an_ordinary_user_in_a_namespace(directory):
    if not privilege.user_namespace():
        pytest.skip("user namespaces don't work here")
    with PostgresServer(directory, durable=False) as server:
        assert Path(f"/proc/{server.pid}/uid_map").read_text().split() == [str(privilege.NOBODY), "0", "1"]
        assert (directory / "data").stat().st_uid == 0


def closed_folder(path: Path) -> Path | None:
    return next((folder for folder in reversed(path.resolve().parents) if not folder.stat().st_mode & 0o001), None)


@as_root
def test_without_namespaces_root_starts_it_as_nobody(directory, monkeypatch):
    monkeypatch.setattr(privilege, "user_namespace", lambda: ())
    directory.parent.chmod(0o711)
    server = PostgresServer(directory, durable=False)
    if closed := closed_folder(server.programs):
        # The tests themselves lie where nobody may go: then that is said.
        with pytest.raises(ServerError, match=f"may not enter {closed}: chmod"):
            server.start_blocking()
        return
    with server:
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert f"Uid:\t{privilege.NOBODY}\t{privilege.NOBODY}" in status
        assert pwd.getpwuid((directory / "data").stat().st_uid).pw_name == "nobody"
        server.query("CREATE TABLE t (n int)")
        os.kill(server.pid, signal.SIGKILL)
        server.wait_blocking(10)
        server.start_blocking()
        assert server.query("SELECT count(*) FROM t") == "0"


@as_root
def test_a_closed_folder_on_nobodys_way_is_named(directory, monkeypatch):
    monkeypatch.setattr(privilege, "user_namespace", lambda: ())
    closed = directory / "closed"
    closed.mkdir(parents=True, mode=0o700)
    directory.parent.chmod(0o711)
    directory.chmod(0o711)
    with pytest.raises(ServerError, match=f"may not enter {closed}: chmod"):
        PostgresServer(closed / "server").start_blocking()


NO_NAME = 2**31 - 2


def test_a_user_without_a_name_gets_one_in_a_namespace(monkeypatch):
    monkeypatch.setattr(privilege.os, "geteuid", lambda: NO_NAME)
    monkeypatch.setattr(privilege, "user_namespace", lambda: ("unshare",))
    assert privilege.unprivileged() == privilege.Identity(prefix=("unshare",))


def test_a_user_without_a_name_and_a_namespace_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(privilege.os, "geteuid", lambda: NO_NAME)
    monkeypatch.setattr(privilege, "user_namespace", lambda: ())
    with pytest.raises(ServerError, match=f"a name for user id {NO_NAME}: add it to /etc/passwd"):
        privilege.unprivileged()
