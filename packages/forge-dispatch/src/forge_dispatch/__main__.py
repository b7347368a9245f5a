"""`forge-dispatch` and `python -m forge_dispatch`: the entry, which keeps out what would only make the start slow."""

import sys
from typing import Any, cast

# nats imports aiohttp for its websockets and structlog imports rich for its colours, where they are installed.
for _unused in ("aiohttp", "rich"):
    cast("dict[str, Any]", sys.modules).setdefault(_unused, None)


def main() -> int:
    """Run the command with the arguments and the environment of the process; its exit code."""
    from forge_dispatch.command.run import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
