"""Rate limits that all replicas share: a row says when a budget is full again (generic cell rate algorithm)."""

from dataclasses import dataclass
from datetime import timedelta

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError

WINDOW = timedelta(minutes=1)
_TAKE = "select take_budget($1, $2, $3)"
_FORGET = "delete from rate_limits where full_at < now() - interval '1 hour'"


@dataclass(frozen=True, slots=True)
class Budget:
    """`per_minute` takes of what `key` names; all of them may come at once. `what` tells a caller what was too much."""

    key: str
    per_minute: int
    what: str

    def cost(self, takes: int) -> timedelta:
        """The time in which so many takes come back."""
        return WINDOW * takes / self.per_minute


async def take(connection: Connection, budget: Budget, takes: int = 1) -> float | None:
    """Take from the budget; seconds until it can be tried again where it is used up, and then nothing is taken."""
    wait: float | None = await connection.fetchval(_TAKE, budget.key, budget.cost(takes), WINDOW)
    return wait


def used_up(budget: Budget, wait: float) -> PlatformError:
    """The error for a caller who has to wait so many seconds."""
    return PlatformError(
        f"more than {budget.per_minute} {budget.what} in a minute: try again in {wait:.0f} s",
        code=ErrorCode.RATE_LIMITED,
        component="api",
        retry_after=wait,
    )


async def forget_unused(connection: Connection) -> None:
    """Delete the rows of budgets that are full."""
    await connection.execute(_FORGET)
