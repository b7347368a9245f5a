"""The driver's exceptions, translated once at the edge."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from forge_sdk.errors import ErrorCode, PlatformError, TransientError

COMPONENT = "database"
_PASSING = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Exceptions of asyncpg below this leave it as `PlatformError`.

    Transient where trying again may help; `conflict` for a row that exists already and for a reference that does not,
    with the constraint's name in the context; `internal_error` for the rest.
    """
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        raise _conflict(error) from error
    except asyncpg.DataError as error:
        raise PlatformError("a value does not fit its column", component=COMPONENT) from error
    except asyncpg.InvalidCatalogNameError as error:
        raise TransientError(f"{error}: create it, or correct database.name", component=COMPONENT) from error
    except _PASSING as error:
        raise TransientError(
            "the database can't be reached or is overloaded: try again", component=COMPONENT
        ) from error
    except asyncpg.PostgresError as error:
        raise PlatformError("the database refused a statement", component=COMPONENT) from error


def constraint_of(error: PlatformError) -> str | None:
    """Name of the constraint that `error` is about, or nothing."""
    name = error.context.get("constraint")
    return name if isinstance(name, str) else None


def _conflict(error: asyncpg.IntegrityConstraintViolationError) -> PlatformError:
    kinds = (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError, asyncpg.ExclusionViolationError)
    code = ErrorCode.CONFLICT if isinstance(error, kinds) else ErrorCode.INTERNAL_ERROR
    return PlatformError(
        "the change contradicts what is recorded already",
        code=code,
        component=COMPONENT,
        context={"constraint": getattr(error, "constraint_name", None)},
    )
