"""How a connection to PostgreSQL is made."""

from typing import Any

from forge_sdk.configuration import Database, read_secret_file

CONNECT_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 30.0
ANSWER_MARGIN_S = 10.0
"""A server that does not say either that a statement took too long can't be reached any more."""
LOCK_TIMEOUT_S = 10.0
IDLE_TRANSACTION_TIMEOUT_S = 60.0


def connect_arguments(
    configuration: Database, *, statement_timeout_s: float = STATEMENT_TIMEOUT_S, pooled: bool = False
) -> dict[str, Any]:
    """Arguments of `asyncpg.connect` and `create_pool`; `pooled` bounds the waits that would hold a pooled connection."""
    server_settings = {
        "application_name": "forge-api",
        "timezone": "UTC",
        "statement_timeout": _milliseconds(statement_timeout_s),
    }
    if pooled:
        server_settings["lock_timeout"] = _milliseconds(LOCK_TIMEOUT_S)
        server_settings["idle_in_transaction_session_timeout"] = _milliseconds(IDLE_TRANSACTION_TIMEOUT_S)
    password = read_secret_file(configuration.password_file).reveal() if configuration.password_file else None
    return {
        "host": configuration.host,
        "port": configuration.port,
        "database": configuration.name,
        "user": configuration.user,
        "password": password,
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": statement_timeout_s + ANSWER_MARGIN_S if statement_timeout_s else None,
        "server_settings": server_settings,
    }


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
