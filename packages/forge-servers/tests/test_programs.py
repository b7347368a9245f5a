"""What is installed, and what is said where something is not."""

import importlib.resources
import sysconfig

import pytest

from forge_servers import MissingServerError, NatsServer, PostgresServer, RegistryServer, ServerError, programs

INSTALL = r"pip install 'catalyst-forge-servers\[all\]'"


def test_a_missing_postgres_says_what_to_install(directory, monkeypatch):
    monkeypatch.setattr(programs, "POSTGRES_PACKAGE", "no_such_package")
    with pytest.raises(MissingServerError, match=f"PostgreSQL is not installed: {INSTALL}"):
        PostgresServer(directory).start_blocking()


def test_a_missing_nats_says_what_to_install(directory, monkeypatch, tmp_path):
    monkeypatch.setattr(programs, "NATS_DISTRIBUTION", "no-such-distribution")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingServerError, match=f"NATS is not installed: {INSTALL}"):
        NatsServer(directory).start_blocking()
    monkeypatch.undo()


def test_a_wheel_without_its_programs_says_how_to_mend_it(directory, monkeypatch, tmp_path):
    monkeypatch.setattr(programs, "OWN_PROGRAMS", tmp_path)
    with pytest.raises(ServerError, match="pip install --force-reinstall catalyst-forge-servers"):
        RegistryServer(directory).start_blocking()


def test_a_nats_on_the_path_is_used_where_the_wheel_is_not(monkeypatch, tmp_path):
    program = tmp_path / "nats-server"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr(programs, "NATS_DISTRIBUTION", "no-such-distribution")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "empty"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.nats_program() == program
    monkeypatch.undo()


def test_licences_of_linked_go_modules_travel_in_the_wheel():
    licences = importlib.resources.files("forge_servers") / "_licenses"
    if not licences.is_dir():
        pytest.skip("an editable install carries no licences")
    for module in ("github.com/distribution/distribution/v3", "github.com/versity/versitygw", "go"):
        assert (licences / module / "LICENSE").is_file()


def test_the_programs_are_static_executables():
    for name in ("forge-child", "forge-registry", "forge-s3"):
        content = programs.own_program(name).read_bytes()
        assert content.startswith(b"\x7fELF")
        assert b"ld-linux" not in content[:4096]
