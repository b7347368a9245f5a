"""What each service has installed."""

from typing import Any

from forge_api.database.pool import Connection
from forge_sdk.models.api import PluginSet, RegisterPlugins

_STORE = """
insert into plugin_sets (service, pools, plugins, problems) values ($1, $2, $3, $4)
on conflict (service) do update
    set pools = excluded.pools, plugins = excluded.plugins, problems = excluded.problems, updated_at = now()
"""
_ALL = "select service, plugins, problems from plugin_sets order by service"


async def store(connection: Connection, service: str, body: RegisterPlugins) -> None:
    """Replace what is known of a service."""
    values: dict[str, Any] = body.model_dump(mode="json")
    await connection.execute(_STORE, service, values["pools"], values["plugins"], values["problems"])


async def sets(connection: Connection) -> tuple[PluginSet, ...]:
    """The sets of all services that ever registered, by name."""
    return tuple(PluginSet.model_validate(dict(row)) for row in await connection.fetch(_ALL))
