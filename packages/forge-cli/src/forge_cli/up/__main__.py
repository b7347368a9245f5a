"""The supervisor's process: `python -m forge_cli.up DATA`."""

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from forge_cli.errors import report
from forge_cli.exits import Exit
from forge_cli.layout import Layout, PlatformFile
from forge_cli.up.first_start import prepare
from forge_cli.up.supervisor import Supervisor
from forge_sdk.configuration import Log
from forge_sdk.errors import ConfigurationError, PlatformError
from forge_sdk.logging import configure_logging, get_logger
from forge_servers import ServerError

logger = get_logger(__name__)


def main() -> int:
    """Run the platform until a signal asks to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="forge up")
    parser.add_argument("data", type=Path)
    parser.add_argument("--new-ports", action="store_true")
    parser.add_argument("--ready-descriptor", type=int)
    arguments = parser.parse_args()
    configure_logging(Log(format="json" if arguments.ready_descriptor else "console"), "supervisor")
    layout = Layout(arguments.data)
    try:
        with _locked(layout):
            asyncio.run(_run(layout, prepare(layout, new_ports=arguments.new_ports), arguments.ready_descriptor))
    except (PlatformError, ServerError) as error:
        return _failed(error, arguments.ready_descriptor)
    except BaseExceptionGroup as group:
        first = _first(group)
        if not isinstance(first, PlatformError | ServerError):
            raise
        return _failed(first, arguments.ready_descriptor)
    return Exit.SUCCESS


async def _run(layout: Layout, platform: PlatformFile, ready: int | None) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    serving = loop.create_task(_serve(layout, platform, ready))
    stopping = loop.create_task(asked.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    logger.info("platform.stopped")


async def _serve(layout: Layout, platform: PlatformFile, ready: int | None) -> None:
    async with Supervisor(layout, platform.ports).running():
        _say(ready, {"ready": True})
        logger.info("platform.ready", data=str(layout.data))
        await asyncio.Event().wait()


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    with layout.lock_file.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"a platform runs already in {layout.data}: see `forge status`") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _failed(error: BaseException, ready: int | None) -> int:
    shown = error if isinstance(error, PlatformError) else PlatformError(str(error), component="servers")
    _say(ready, {"error": shown.to_detail().model_dump(mode="json")})
    return report(shown)


def _say(ready: int | None, message: dict[str, object]) -> None:
    if ready is not None:
        with contextlib.suppress(OSError):  # nobody listens any more
            os.write(ready, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
