"""T13: what a person waits for: `forge --help`, and `forge validate` of one project."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measure import Row, SkippedError, alternating, timed
from repositories import configuration

HELP_S = 0.25
VALIDATE_S = 0.6


async def rows() -> list[Row]:
    found = shutil.which("forge", path=str(Path(sys.executable).parent))
    if found is None:
        raise SkippedError("the command forge is not installed beside this Python")
    rows = [await _command("T13.1", "forge --help", [found, "--help"], HELP_S)]
    if await _status([found, "validate", "--help"]) != 0:
        print("  T13.2 is left out: this forge has no command validate")
        return rows
    with tempfile.TemporaryDirectory() as folder:
        _make_working_tree(Path(folder))
        rows.append(await _command("T13.2", "forge validate of one project", [found, "validate", folder], VALIDATE_S))
    return rows


async def _command(name: str, what: str, command: Sequence[str], target: float) -> Row:
    if await _status(command) != 0:
        raise SkippedError(f"{what} failed")
    floor, measured = await alternating(
        lambda: timed(lambda: _status([sys.executable, "-c", "pass"])), lambda: timed(lambda: _status(command))
    )
    ratio = measured / floor
    return Row(
        name,
        f"{what}, against the interpreter's start",
        "ms",
        floor,
        measured,
        ratio,
        f"<= {target} s",
        measured <= target * 1000,
    )


async def _status(command: Sequence[str]) -> int:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, stdin=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


def _make_working_tree(folder: Path) -> None:
    for path, text in configuration(1).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
