"""The README's first command, without the building before it."""

import os
import re
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
LIMIT_S = 280


def test_the_demo_shows_the_whole_path_and_leaves_nothing(tmp_path):
    folder = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, str(DEMO), "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"^the site is at http://\S+/site/index.html: A small shop$", done.stdout, re.MULTILINE)
    assert re.search(r"^release +acme/shop/api/\w+, number 2, complete", done.stdout, re.MULTILINE)
    assert "kind: Deployment" in done.stdout
    assert processes_in(folder) == []


def processes_in(folder):
    """Command lines of processes that were started with something in the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found
