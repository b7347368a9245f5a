import subprocess
import sys

CORE = "archive bundle canonical digests dsse errors image keys layout manifest names provenance publications release statement tracking unpack"
SLOW = (
    "asyncio",
    "cryptography",
    "dataclasses",
    "inspect",
    "requests",
    "oras",
    "forge_sdk",
    "tarfile",
    "forge_oci.registry",
)


def test_the_core_imports_nothing_slow():
    code = (
        f"import sys\nfor name in {CORE.split()}: __import__('forge_oci.core.' + name)\n"
        f"print([name for name in {SLOW} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-S", "-c", _with_path(code)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def _with_path(code):
    return f"import sys\nsys.path[:0] = {[entry for entry in sys.path if entry]!r}\n{code}"
