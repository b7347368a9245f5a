"""What each service has installed."""

from typing import Any

from forge_api.database.pool import Connection
from forge_sdk.models.api import PluginSet, RegisterPlugins

_STORE = """
insert into plugin_sets (service, pools, plugins, problems, slots) values ($1, $2, $3, $4, $5)
on conflict (service) do update
    set pools = excluded.pools, slots = excluded.slots, plugins = excluded.plugins, problems = excluded.problems, updated_at = now()
"""
_SLOTS = """
select pool.key as pool, sum(pool.value::integer) as slots
from plugin_sets, jsonb_each_text(slots) pool group by pool.key
"""
_ALL = "select service, plugins, problems from plugin_sets order by service"


async def store(connection: Connection, service: str, body: RegisterPlugins) -> None:
    """Replace what is known of a service."""
    values: dict[str, Any] = body.model_dump(mode="json")
    columns = [values[name] for name in ("pools", "plugins", "problems", "slots")]
    await connection.execute(_STORE, service, *columns)


async def slots(connection: Connection) -> dict[str, int]:
    """Jobs that all workers together run at once, by pool."""
    return {row["pool"]: row["slots"] for row in await connection.fetch(_SLOTS)}


async def sets(connection: Connection) -> tuple[PluginSet, ...]:
    """The sets of all services that ever registered, by name."""
    return tuple(PluginSet.model_validate(dict(row)) for row in await connection.fetch(_ALL))
