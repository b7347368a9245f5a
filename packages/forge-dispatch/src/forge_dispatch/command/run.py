"""`forge-dispatch STAGE`: exit code 0 for success, 1 for a failed or cancelled stage, 2 for what the dispatcher itself can't do."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence

import structlog

from forge_dispatch.command.outputs import write_outputs
from forge_dispatch.command.settings import CommandSettings, settings_of
from forge_dispatch.command.stage import carry_out
from forge_dispatch.command.stage_api import StageApi
from forge_dispatch.connection import connect
from forge_dispatch.dispatcher import Dispatcher
from forge_sdk import nats_connection, telemetry
from forge_sdk.errors import ConfigurationError, PlatformError, as_platform_error
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.stages import Stage, StageJobs
from forge_sdk.retry import RetryPolicy

EXIT_SUCCESS, EXIT_FAILED, EXIT_OWN_FAILURE = 0, 1, 2
CONNECT_RETRY = RetryPolicy(attempts=12, base_delay=0.2, max_delay=10.0, jitter=0.5)


def run(arguments: Sequence[str]) -> int:
    """Carry out a stage as the environment says; errors go to standard error as JSON, with one line that sums up."""
    parser = argparse.ArgumentParser(prog="forge-dispatch", description="Carries out one stage of a run.")
    parser.add_argument("stage", nargs="?", choices=[stage.value for stage in Stage], help="default: $JOB_TYPE")
    options = parser.parse_args(arguments)
    _configure_logs()
    name = options.stage or "forge-dispatch"
    try:
        telemetry.configure("forge-dispatch")
        settings = settings_of(options.stage, os.environ)
        name = settings.name
        end = asyncio.run(_dispatch(settings))
        write_outputs(settings.outputs, end)
    except Exception as error:  # noqa: BLE001 - the edge of the process: whatever it is, the engine is told and may retry
        failure = as_platform_error(error, component="dispatch")
        again = "correct it and start again" if isinstance(error, ConfigurationError) else "it may be started again"
        _tell(failure.to_detail(), f"{name}: the dispatcher failed: {failure.message} ({again})")
        return EXIT_OWN_FAILURE
    finally:
        telemetry.shutdown()
    return _concluded(name, end)


def _concluded(name: str, end: StageJobs) -> int:
    if end.state.succeeded:
        sys.stderr.write(f"forge-dispatch: {name}: {end.state}\n")
        return EXIT_SUCCESS
    detail = end.error or PlatformError(f"{name}: {end.state}", component="dispatch").to_detail()
    _tell(detail, f"{name}: {end.state}: {detail.message}")
    return EXIT_FAILED


async def _dispatch(settings: CommandSettings) -> StageJobs:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connection = await CONNECT_RETRY.call(lambda: connect(settings.nats, "forge-dispatch"))
    try:
        async with Dispatcher(connection) as dispatcher:
            return await carry_out(StageApi(settings), dispatcher, stop)
    finally:
        await nats_connection.close(connection)


def _tell(detail: ErrorDetail, summary: str) -> None:
    line = " ".join(summary.split())
    sys.stderr.write(f"{detail.model_dump_json(exclude_none=True)}\nforge-dispatch: {line}\n")


def _configure_logs() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
