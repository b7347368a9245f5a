"""CUE paths as the evaluator writes them."""

import json
import re
import unicodedata
from collections.abc import Iterable

_IDENTIFIER = re.compile(r"[A-Za-z$][A-Za-z0-9_$]*")


def format_path(parts: Iterable[str | int]) -> str:
    """Writes field names and list indices as a CUE path: `("artifacts", "my-web", 0)` gives `artifacts."my-web"[0]`.

    Names are quoted unless they are ASCII identifiers that begin with a letter or `$`, and
    brought into Unicode's normal form C as CUE does with every field name.
    """
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _IDENTIFIER.fullmatch(part) else _quoted(part)
        text += f".{name}" if text else name
    return text


def _quoted(name: str) -> str:
    # CUE keeps field names in this normal form; the evaluator's JSON escapes these two line ends as well.
    name = unicodedata.normalize("NFC", name)
    return json.dumps(name, ensure_ascii=False).replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")
