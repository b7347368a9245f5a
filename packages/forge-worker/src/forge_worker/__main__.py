"""`python -m forge_worker --config FILE`: run a worker until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from forge_sdk import telemetry
from forge_sdk.configuration import WorkerConfiguration, load
from forge_sdk.errors import ConfigurationError, PlatformError
from forge_sdk.logging import configure_logging
from forge_worker.collector import settle
from forge_worker.service import WorkerService

EXIT_FAILED, EXIT_CONFIGURATION, EXIT_UNREACHABLE = 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Run the worker; 0 after a drain, 2 for a wrong configuration, 3 where a service can't be reached, else 1."""
    parser = argparse.ArgumentParser(prog="forge-worker", description="Runs jobs of Catalyst Forge.")
    parser.add_argument("--config", type=Path, help="configuration file (default: $FORGE_CONFIG)")
    options = parser.parse_args(arguments)
    try:
        configuration = load(WorkerConfiguration, options.config)
        configure_logging(configuration.log, "worker")
        telemetry.configure("forge-worker")
        settle()
        _run(configuration)
    except PlatformError as error:
        sys.stderr.write(f"forge-worker: {error.message}\n")
        if isinstance(error, ConfigurationError):
            return EXIT_CONFIGURATION
        return EXIT_UNREACHABLE if error.transient else EXIT_FAILED
    finally:
        telemetry.shutdown()
    return 0


def _run(configuration: WorkerConfiguration) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(configuration))
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(configuration))


async def _serve(configuration: WorkerConfiguration) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = WorkerService(configuration)
    running, stopped = asyncio.create_task(service.run(stop)), asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if stop.is_set() and not service.working:
        # Nothing has to be drained: a stop during a long wait for the platform is obeyed at once.
        running.cancel()
        await asyncio.wait({running})
        return
    await running


if __name__ == "__main__":
    sys.exit(main())
