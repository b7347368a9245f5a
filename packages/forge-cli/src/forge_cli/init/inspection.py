"""What a folder holds that phases and artifacts can be proposed for."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge_sdk.errors import ConfigurationError

MAX_BYTES = 1024 * 1024
_MODULE = re.compile(r"^module\s+\"?([^\s\"]+)", re.MULTILINE)
_MAIN = re.compile(r"^package main\b", re.MULTILINE)


@dataclass(frozen=True)
class PythonPackage:
    """A folder with `pyproject.toml`.

    `buildable`: it has a build system. `pytest_options`: how `uv run` brings pytest; absent where there are no tests.
    """

    name: str
    buildable: bool
    pytest_options: tuple[str, ...] | None


@dataclass(frozen=True)
class GoModule:
    """A folder with `go.mod`; `main` is the package of a program, absent where there is none."""

    name: str
    main: str | None


@dataclass(frozen=True)
class Findings:
    """What was recognised; `site` is the folder of `index.html`."""

    python: PythonPackage | None = None
    go: GoModule | None = None
    mkdocs: bool = False
    site: str | None = None
    container_file: str | None = None
    python_tests: str | None = None

    @property
    def anything(self) -> bool:
        """Whether there is anything to propose."""
        return self != Findings()


def inspect(folder: Path) -> Findings:
    """What `folder` holds; `ConfigurationError` where one of its files is damaged."""
    python = _python(folder)
    tests = next((name for name in ("tests", "test") if any(folder.glob(f"{name}/test*.py"))), None)
    return Findings(
        python=python,
        go=_go(folder),
        mkdocs=_is_file(folder, "mkdocs.yml"),
        site=next((name for name in (".", "public") if _is_file(folder, f"{name}/index.html")), None),
        container_file=next((name for name in ("Dockerfile", "Containerfile") if _is_file(folder, name)), None),
        python_tests=tests if python is None else None,
    )


def candidates(files: Iterable[str]) -> list[str]:
    """The folders that hold one of `files`, paths in a repository, and look like projects; none inside another but the root."""
    marks = {"pyproject.toml", "go.mod", "Dockerfile", "Containerfile", "mkdocs.yml", "index.html"}
    split = ((folder, name) for folder, _, name in (file.rpartition("/") for file in files))
    found = {f"/{folder}".removesuffix("/public").strip("/") or "." for folder, name in split if name in marks}
    return [one for one in sorted(found) if not any(one.startswith(f"{other}/") for other in found)]


def _python(folder: Path) -> PythonPackage | None:
    text = _read(folder / "pyproject.toml")
    if text is None:
        return None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{folder / 'pyproject.toml'} is no TOML: {error}; correct it first") from error
    project = _table(content.get("project"))
    tested = any((folder / name).is_dir() for name in ("tests", "test")) or "pytest" in _table(content.get("tool"))
    return PythonPackage(
        name=str(project.get("name", folder.name)),
        buildable="build-system" in content and bool(project),
        pytest_options=_pytest_options(content, project) if tested else None,
    )


def _pytest_options(content: dict[str, Any], project: dict[str, Any]) -> tuple[str, ...]:
    for group, requirements in _table(content.get("dependency-groups")).items():
        if _has_pytest(requirements):
            return () if group == "dev" else ("--group", group)
    for extra, requirements in _table(project.get("optional-dependencies")).items():
        if _has_pytest(requirements):
            return ("--extra", extra)
    return () if _has_pytest(project.get("dependencies")) else ("--with", "pytest")


def _has_pytest(requirements: object) -> bool:
    listed = requirements if isinstance(requirements, list) else []
    return any(isinstance(one, str) and re.match(r"pytest(?![\w-])", one) for one in listed)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _go(folder: Path) -> GoModule | None:
    text = _read(folder / "go.mod")
    found = _MODULE.search(text) if text is not None else None
    if found is None:
        return None
    name = re.sub(r"/v\d+$", "", found[1]).rpartition("/")[2]
    if any(_MAIN.search(_read(file) or "") for file in sorted(folder.glob("*.go"))):
        return GoModule(name, ".")
    programs = sorted(path.parent.name for path in folder.glob("cmd/*/main.go"))
    return GoModule(programs[0], f"./cmd/{programs[0]}") if programs else GoModule(name, None)


def _is_file(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def _read(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror}") from error
