#!/usr/bin/env python3
"""Everything that a fresh clone needs, with nothing but Python 3.11 and git: `python3 dev.py demo` and `python3 dev.py test`.

`demo` and `test` make `.venv` with the development tools and run `hatch run demo` and `tox`. The other commands are what these call:
`wheels` builds every distribution once (cached by content), `install FOLDER GROUP` installs a dependency group of a pyproject.toml into the
running environment with our own distributions taken from those wheels.
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
TOOLS = ["hatch>=1.16", "tox>=4.30", "tox-uv>=1.25", "uv>=0.8"]
CACHE = Path(
    os.environ.get("FORGE_BUILD_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "catalyst-forge"
)
WHEELHOUSE = ROOT / ".cache" / "wheelhouse"
CONSTRAINTS = WHEELHOUSE / "constraints.txt"
REPORTS = ROOT / ".tox" / "reports"
NOT_BUILT_IN = {
    "tests",
    "changelog.d",
    "_bin",
    "__pycache__",
    "dist",
    ".hypothesis",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
}
EXIT_NOT_PREPARED = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="run the main job on examples/shop")
    commands.add_parser("test", help="run every suite")
    commands.add_parser("wheels", help="build every distribution into the wheelhouse")
    install = commands.add_parser("install", help="install a dependency group with our wheels")
    install.add_argument("folder", type=Path)
    install.add_argument("group")
    arguments, rest = parser.parse_known_args()
    if rest and arguments.command not in {"demo", "test"}:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if arguments.command == "wheels":
        return wheels()
    if arguments.command == "install":
        return install_group(arguments.folder, arguments.group)
    prepare()
    return demo(rest) if arguments.command == "demo" else test(rest)


def demo(arguments: list[str]) -> int:
    return subprocess.call([VENV / "bin" / "hatch", "run", "demo", *arguments], cwd=ROOT, env=environment())


def test(arguments: list[str]) -> int:
    shutil.rmtree(REPORTS, ignore_errors=True)
    # Servers that refuse to run as root run as nobody, who must be able to enter the environments.
    REPORTS.parent.mkdir(mode=0o755, exist_ok=True)
    command = [VENV / "bin" / "tox", "run-parallel", "--parallel", "2", "--parallel-no-spinner"]
    code = subprocess.call([*command, *arguments], cwd=ROOT, env=environment())
    summarize()
    return code


def summarize() -> None:
    """One line for each suite, as pytest wrote its report, and the sum."""
    passed = failed = skipped = 0
    for report in sorted(REPORTS.glob("*.xml")):
        suite = next(ET.parse(report).iter("testsuite"))
        total, bad, left = (int(suite.get(name, "0")) for name in ("tests", "failures", "skipped"))
        bad += int(suite.get("errors", "0"))
        print(
            f"{report.stem:32} {total - bad - left} passed, {bad} failed, {left} skipped in {float(suite.get('time', '0')):.1f}s"
        )
        passed, failed, skipped = passed + total - bad - left, failed + bad, skipped + left
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)


def prepare() -> None:
    """Make `.venv` with the development tools, where it isn't there or is of another set of tools."""
    missing = [module for module in ("venv", "ensurepip") if importlib.util.find_spec(module) is None]
    if sys.version_info < (3, 11) or missing:
        wanted = "Python 3.11 or newer" if sys.version_info < (3, 11) else f"Python's module {missing[0]}"
        print(f"dev.py needs {wanted}; on Debian and Ubuntu: apt-get install python3 python3-venv", file=sys.stderr)
        raise SystemExit(EXIT_NOT_PREPARED)
    if shutil.which("git") is None:
        print("dev.py needs git; on Debian and Ubuntu: apt-get install git", file=sys.stderr)
        raise SystemExit(EXIT_NOT_PREPARED)
    marker, wanted_tools = VENV / ".tools", "\n".join([sys.version, *TOOLS])
    if marker.is_file() and marker.read_text() == wanted_tools:
        return
    stage("development tools")
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "uv>=0.8"], check=True)
    subprocess.run([VENV / "bin" / "uv", "pip", "install", "--quiet", "--python", VENV, *TOOLS], check=True)
    marker.write_text(wanted_tools)


def wheels() -> int:
    """Build what has changed; `constraints.txt` then names one wheel file for each distribution."""
    WHEELHOUSE.mkdir(parents=True, exist_ok=True)
    with locked(WHEELHOUSE / ".lock"):
        projects = sorted(path.parent for path in ROOT.glob("packages/**/pyproject.toml"))
        projects.sort(key=lambda project: not (project / "go").is_dir())  # compilers take longest
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            built = dict(pool.map(wheel_of, projects))
        text = "".join(f"{name} @ {wheel.as_uri()}\n" for name, wheel in sorted(built.items()))
        if not CONSTRAINTS.is_file() or CONSTRAINTS.read_text() != text:
            CONSTRAINTS.write_text(text)
            for old in WHEELHOUSE.glob("*.whl"):
                old.unlink()
            for wheel in built.values():
                shutil.copy2(wheel, WHEELHOUSE / wheel.name)
    return 0


def wheel_of(project: Path) -> tuple[str, Path]:
    name = tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"]
    folder = CACHE / "wheels" / name / content_digest(project)
    found = sorted(folder.glob("*.whl"))
    if not found:
        compiled = " (compiles Go programs: some minutes, once)" if (project / "go").is_dir() else ""
        stage(f"wheel of {name}{compiled}")
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        built = subprocess.run([uv(), "build", "--quiet", "--wheel", "--out-dir", fresh, project], check=False)
        if built.returncode != 0:
            raise SystemExit(f"building {name} failed")
        with contextlib.suppress(OSError):  # another checkout was faster and its wheel is as good
            fresh.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
        found = sorted(folder.glob("*.whl"))
    return name, found[0]


def content_digest(project: Path) -> str:
    digest = hashlib.sha256(sysconfig.get_platform().encode())
    for path in sorted(project.rglob("*")):
        relative = path.relative_to(project)
        if path.is_file() and not NOT_BUILT_IN.intersection(relative.parts):
            digest.update(f"{relative}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def install_group(folder: Path, group: str) -> int:
    wheels()
    pyproject = folder.resolve() / "pyproject.toml"
    command = [
        uv(),
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        "--constraint",
        CONSTRAINTS,
        "--group",
        f"{pyproject}:{group}",
    ]
    if folder.resolve() == ROOT:
        command.append("--compile-bytecode")  # whole platforms start from these environments
    project = tomllib.loads(pyproject.read_text()).get("project")
    return subprocess.call([*command, *([project["name"]] if project else [])], cwd=ROOT)


def uv() -> str:
    found = shutil.which("uv") or shutil.which("uv", path=VENV / "bin")
    if found is None:
        raise SystemExit("uv is not installed: run `python3 dev.py test` once, or `pip install uv`")
    return found


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}", "VIRTUAL_ENV": str(VENV)}


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stage(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
