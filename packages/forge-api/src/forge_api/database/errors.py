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
    except Exception as error:
        found = translation(error)
        if found is None:
            raise
        raise found from error


def translation(error: BaseException) -> PlatformError | None:
    """What `translated` makes of an exception; nothing where it is none of the driver's."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return _conflict(error)
    if isinstance(error, asyncpg.DataError):
        return PlatformError("a value does not fit its column", component=COMPONENT)
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return TransientError(f"{error}: create it, or correct database.name", component=COMPONENT)
    if isinstance(error, _PASSING):
        return TransientError("the database can't be reached or is overloaded: try again", component=COMPONENT)
    if isinstance(error, asyncpg.PostgresError):
        return PlatformError("the database refused a statement", component=COMPONENT)
    return None


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
