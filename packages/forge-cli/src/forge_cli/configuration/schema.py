"""The files of the composed schema as one file."""

import re
from collections.abc import Mapping

from forge_project.schema import IMPORT_PATH, PACKAGE

_CLAUSE = re.compile(rf"\A\s*package {PACKAGE}\n")
_IMPORT = re.compile(r'^import ("[^"\n]+")\n', re.MULTILINE)


def one_file(files: Mapping[str, str]) -> str:
    """CUE text of package `v1` with the definitions of all `files`, each under a comment with its name."""
    imports = sorted({name for text in files.values() for name in _IMPORT.findall(text)})
    parts = [f"// The schema {IMPORT_PATH} with the plugins that are installed here.", f"package {PACKAGE}"]
    parts += [f"import {name}" for name in imports]
    for name, text in sorted(files.items()):
        parts.append(f"// {name}\n\n{_IMPORT.sub('', _CLAUSE.sub('', text)).strip()}")
    return "\n\n".join(parts) + "\n"
