"""Builds dist/till: one executable file that runs wherever Python 3.11 is, with the same bytes for the same sources."""

import io
import os
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
SHEBANG = b"#!/usr/bin/env python3\n"
FIRST_TIME_OF_ZIP = 315532800


def application(sources: Path, modified: int) -> bytes:
    """The zip application of the Python files below `sources`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(sources.rglob("*.py")):
            name = file.relative_to(sources).as_posix()
            entry = zipfile.ZipInfo(name, time.gmtime(max(modified, FIRST_TIME_OF_ZIP))[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return SHEBANG + packed.getvalue()


def main(target: Path) -> None:
    """Writes the application to `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(application(HERE / "src", int(os.environ.get("SOURCE_DATE_EPOCH", "0"))))
    target.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dist" / "till")
