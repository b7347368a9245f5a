"""Command line of the API: `serve`, `migrate`, `openapi`, `verify-audit`."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from forge_sdk import telemetry
from forge_sdk.configuration import ApiConfiguration, load
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import configure_logging

FAILED, MISUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 where it failed, 2 for usage and configuration."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except PlatformError as error:
        sys.stderr.write(f"forge-api: {error}\n")
        return MISUSED if error.code is ErrorCode.CONFIGURATION_INVALID else FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="forge-api", description="Platform API of Catalyst Forge")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = _command(commands, "serve", _serve, "serve the API until SIGTERM")
    serve.add_argument("--migrate", action="store_true", help="apply missing migrations first")
    _command(commands, "migrate", _migrate, "apply missing migrations")
    _command(commands, "verify-audit", _verify_audit, "check the hash chain of the audit log")
    openapi = commands.add_parser("openapi", help="print the OpenAPI document")
    openapi.set_defaults(run=_openapi)
    return parser


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text)
    command.add_argument("--config", type=Path, metavar="FILE", help="configuration (default: $FORGE_CONFIG)")
    command.set_defaults(run=run)
    return command


def _configuration(options: argparse.Namespace) -> ApiConfiguration:
    configuration = load(ApiConfiguration, options.config)
    configure_logging(configuration.log, "forge-api")
    return configuration


def _serve(options: argparse.Namespace) -> int:
    from forge_api.server import serve

    configuration = _configuration(options)
    telemetry.configure("forge-api")
    try:
        _run(serve(configuration, apply_migrations=options.migrate))
    finally:
        telemetry.shutdown()
    return 0


def _migrate(options: argparse.Namespace) -> int:
    from forge_api.database.migrate import migrate

    applied = _run(migrate(_configuration(options).database))
    for migration in applied:
        sys.stdout.write(f"applied {migration.version:04d}_{migration.name}\n")
    return 0


def _verify_audit(options: argparse.Namespace) -> int:
    from forge_api.database.audit import verify
    from forge_api.database.pool import Database

    async def check() -> int | None:
        database = await Database.connect(_configuration(options).database)
        try:
            return await database.read(verify)
        finally:
            await database.close()

    broken = _run(check())
    if broken is not None:
        sys.stderr.write(f"forge-api: the audit log was changed at event {broken}: compare it with a backup\n")
        return FAILED
    sys.stdout.write("the audit log is intact\n")
    return 0


def _openapi(options: argparse.Namespace) -> int:
    del options
    from forge_api.web.openapi import document
    from forge_api.web.routes import ROUTES

    sys.stdout.write(document(ROUTES).decode() + "\n")
    return 0


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


if __name__ == "__main__":
    sys.exit(main())
