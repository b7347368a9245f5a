import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_example_prints_what_the_readme_says():
    text = README.read_text()
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    promised = re.search(r"^prints `(.*)`\.$", text, re.MULTILINE).group(1)
    ran = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.strip() == promised
