"""The floor of an evaluation: one Go process on one core that does nothing but evaluate."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from measure import SkippedError

from forge_project.schema import RepositoryNames, compose
from forge_sdk.plugins.manager import load_plugins

SOURCE = Path(__file__).resolve().parent / "floor" / "cue"
CACHE = Path(os.environ.get("FORGE_BUILD_CACHE") or Path.home() / ".cache" / "catalyst-forge") / "benchmarks"
CUE_VERSION = "v0.17.1"
NAMES = RepositoryNames(phases=frozenset({"lint", "test", "build"}), publishers={"index": "pypi"})
FILLS = {
    '@repo(path="phases.test.timeout")': "10m",
    '@artifact("wheel.publishers.index.version")': "1.0.0",
    '@artifact("wheel.digest")': "sha256:0",
}


@cache
def schema_files() -> dict[str, str]:
    """The schema of the installed plugins, which must hold those that the projects use."""
    plugins = load_plugins()
    if not {"command"} <= set(plugins.step_actions) or "pypi" not in plugins.publishers:
        raise SkippedError("the plugins for commands, Python and PyPI are not installed")
    return compose(plugins, NAMES)


@cache
def program() -> Path:
    """The floor's program, built with the machine's Go."""
    if shutil.which("go") is None:
        raise SkippedError("there is no go to build the floor's program with")
    CACHE.mkdir(parents=True, exist_ok=True)
    target = CACHE / "cue-floor"
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    subprocess.run(["go", "build", "-o", str(target), "."], cwd=SOURCE, check=True, env=environment)
    return target


@cache
def cue_command() -> Path:
    """The command `cue` of the same version."""
    program()
    target = CACHE / "cue"
    if not target.exists():
        environment = os.environ | {"GOBIN": str(CACHE), "GOTOOLCHAIN": "local"}
        installed = subprocess.run(
            ["go", "install", f"cuelang.org/go/cmd/cue@{CUE_VERSION}"], check=False, env=environment
        )
        if installed.returncode != 0:
            raise SkippedError("the command cue could not be built")
    return target


def filled(text: str) -> str:
    """A project's text with values in place of its attributes."""
    for attribute, value in FILLS.items():
        text = text.replace(f"string {attribute}", json.dumps(value))
    return text


async def floor_ms(projects: Sequence[str]) -> float:
    """How long the one process evaluates these texts, its start not counted."""
    asked = {"schema": schema_files(), "definition": "#Project", "projects": projects, "fills": FILLS}
    process = await asyncio.create_subprocess_exec(
        program(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={"GOMAXPROCS": "1"}
    )
    answer, _ = await process.communicate(json.dumps(asked).encode())
    if process.returncode != 0:
        raise SkippedError("the floor's program failed")
    return int(answer) / 1e6
