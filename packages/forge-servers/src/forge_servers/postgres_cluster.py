"""PostgreSQL's data folder: made once, completely or not at all."""

import shutil
from pathlib import Path

from .directory import DirectoryLock, write_private
from .errors import ServerError
from .privilege import Identity
from .process import ChildProcess, Command
from .programs import postgres_folder

MAJOR_VERSION = "18"
INITDB_TIMEOUT = 120.0


def make_cluster(
    directory: Path, *, user: str, password: str, durable: bool, identity: Identity, lock: DirectoryLock
) -> None:
    """Makes `directory/data` where it doesn't exist; `ServerError` where it is another major version's.

    initdb works in `directory/initdb`, which is renamed when it is complete. The lock's holder is the only one here.
    """
    data, unfinished = directory / "data", directory / "initdb"
    if data.exists():
        _check_version(data)
        return
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = unfinished / "password"
    write_private(password_file, password)
    identity.own(unfinished, password_file)
    identity.check_access(unfinished / "data", postgres_folder() / "initdb")
    _initdb(unfinished, user=user, durable=durable, identity=identity, lock=lock)
    (unfinished / "data").rename(data)
    shutil.rmtree(unfinished)


def _initdb(folder: Path, *, user: str, durable: bool, identity: Identity, lock: DirectoryLock) -> None:
    arguments: list[str | Path] = [postgres_folder() / "initdb", "-D", folder / "data", "-U", user]
    arguments += ["-A", "scram-sha-256", "--pwfile", folder / "password", "-E", "UTF8", "--locale=C.UTF-8"]
    command = Command(
        arguments=arguments if durable else [*arguments, "--no-sync"],
        log_file=folder.parent / "initdb.log",
        working_directory=folder,
        environment={"LC_ALL": "C.UTF-8"},
        identity=identity,
    )
    process = ChildProcess(command, keep_open=(lock.descriptor,))
    lock.record(process.pid)
    try:
        code = process.wait(INITDB_TIMEOUT)
    finally:
        process.stop(1.0)
    if code != 0:
        ended = "was not done in time" if code is None else f"ended with {code}"
        raise ServerError(
            f"PostgreSQL's data could not be made: initdb {ended}. {command.log_file}:\n{process.log_tail()}"
        )


def _check_version(data: Path) -> None:
    version = (data / "PG_VERSION").read_text(encoding="utf-8").strip()
    if version != MAJOR_VERSION:
        raise ServerError(
            f"{data} was written by PostgreSQL {version}, this is {MAJOR_VERSION}: "
            "dump it with the old version and restore the dump, or use another directory"
        )
