"""Applies the migrations: SQL files in the order of their numbers, each once, never backwards."""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

import asyncpg

from forge_api.database.errors import translated
from forge_api.database.settings import connect_arguments
from forge_sdk.configuration import Database
from forge_sdk.errors import ConfigurationError

LOCK_KEY = 0x666F7267
"""Key of the advisory lock, so that replicas that start together migrate one after the other."""
LOCK_TIMEOUT_S = 60
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_TABLE = """
create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `forge_api/database/migrations`: `<four digits>_<name>.sql`."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def packaged() -> list[Migration]:
    """The migrations of this version, in order."""
    entries = resources.files("forge_api.database.migrations").iterdir()
    found = [
        Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8"))
        for entry in entries
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


async def migrate(configuration: Database, migrations: list[Migration] | None = None) -> list[Migration]:
    """Apply what is missing (default: of the packaged migrations) and return it.

    Raises `ConfigurationError` where the database holds a migration that this version does not know, or knows
    differently, and a transient `PlatformError` where the database can't be reached.
    """
    with translated():
        connection = await asyncpg.connect(**connect_arguments(configuration, statement_timeout_s=0))
        try:
            await connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT_S}s'")
            await connection.execute("select pg_advisory_lock($1)", LOCK_KEY)
            return await _apply_missing(connection, packaged() if migrations is None else migrations)
        finally:
            await connection.close()


async def _apply_missing(connection: Any, migrations: list[Migration]) -> list[Migration]:
    await connection.execute(_TABLE)
    rows = await connection.fetch("select version, name, checksum from schema_migrations order by version")
    applied = {row["version"]: row for row in rows}
    _check(applied, migrations)
    missing = [migration for migration in migrations if migration.version not in applied]
    for migration in missing:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
    return missing


def _check(applied: dict[int, Any], migrations: list[Migration]) -> None:
    known = {migration.version: migration for migration in migrations}
    for version, row in applied.items():
        if version not in known:
            raise ConfigurationError(
                f"the database holds migration {version:04d}_{row['name']}, which this version of forge-api does not "
                "know: start the version that made it, or a newer one",
                component="database",
            )
        if known[version].checksum != row["checksum"]:
            raise ConfigurationError(
                f"migration {version:04d}_{row['name']} of the database differs from the one in this version of "
                "forge-api: install an official build of the version that made the database",
                component="database",
            )
    newest = max(applied, default=0)
    late = [migration for migration in migrations if migration.version < newest and migration.version not in applied]
    if late:
        raise ConfigurationError(
            f"migration {late[0].version:04d}_{late[0].name} is older than what the database holds "
            f"({newest:04d}) and was never applied: restore the database from a backup",
            component="database",
        )
