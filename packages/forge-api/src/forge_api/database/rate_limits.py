"""Rate limits that all replicas share: a row says when a budget is full again (generic cell rate algorithm)."""

from dataclasses import dataclass
from datetime import timedelta

from forge_api.database.pool import Connection

WINDOW_S = 60.0
_TAKE = """
insert into rate_limits as r (key, full_at) values ($1, now() + $2::interval)
on conflict (key) do update set full_at = greatest(r.full_at, now()) + $2::interval
    where greatest(r.full_at, now()) + $2::interval <= now() + $3::interval
returning true
"""
_WAIT = (
    "select extract(epoch from full_at + $2::interval - now() - $3::interval)::float8 from rate_limits where key = $1"
)
_FORGET = "delete from rate_limits where full_at < now() - interval '1 hour'"


@dataclass(frozen=True, slots=True)
class Budget:
    """`per_minute` takes of what `key` names; all of them may come at once."""

    key: str
    per_minute: int

    def cost(self, takes: int) -> timedelta:
        """The time in which so many takes come back."""
        return timedelta(seconds=WINDOW_S * takes / self.per_minute)


async def take(connection: Connection, budget: Budget, takes: int = 1) -> float | None:
    """Take from the budget; seconds until it can be tried again where it is used up, and then nothing is taken."""
    cost, whole = budget.cost(takes), timedelta(seconds=WINDOW_S)
    if await connection.fetchval(_TAKE, budget.key, cost, whole) is not None:
        return None
    seconds: float | None = await connection.fetchval(_WAIT, budget.key, cost, whole)
    return max(0.0, seconds or 0.0)


async def forget_unused(connection: Connection) -> None:
    """Delete the rows of budgets that are full."""
    await connection.execute(_FORGET)
