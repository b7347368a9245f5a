"""Problems of a configuration: collected all, reported in one error, with what may have been meant."""

import difflib
from collections import Counter
from collections.abc import Iterable

from pydantic import JsonValue

from forge_sdk.errors import ConfigurationError, ErrorCode
from forge_sdk.models.discovery import Diagnostic

COMPONENT = "project"
_MAX_REPORTED = 500
_MAX_LISTED = 30
_MAX_SHOWN = 20
_MAX_TEXT = 1000
_MAX_COMPARED = 500
_MAX_NAME = 200


def sorted_diagnostics(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each problem once, in the order of file, line and column."""
    unique = {(one.file, one.line, one.column, one.message): one for one in map(_for_readers, diagnostics)}
    return [unique[key] for key in sorted(unique)]


def _for_readers(one: Diagnostic) -> Diagnostic:
    """A diagnostic that fits on a screen and holds nothing that a terminal would obey: texts in it may come from anybody."""
    texts = {name: _readable(getattr(one, name)) for name in ("message", "path", "hint")}
    return one.model_copy(update=texts)


def _readable(text: str) -> str:
    if len(text) > _MAX_TEXT:
        text = f"{text[: _MAX_TEXT // 2]} ... {text[-_MAX_TEXT // 2 :]}"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def configuration_error(
    diagnostics: Iterable[Diagnostic], *, code: ErrorCode = ErrorCode.CONFIGURATION_INVALID
) -> ConfigurationError:
    """One error for all problems: its text lists them, its context holds them as `diagnostics`."""
    found = sorted_diagnostics(diagnostics)
    shown = [str(one) for one in found[:_MAX_SHOWN]]
    if len(found) > len(shown):
        shown.append(f"... and {len(found) - len(shown)} more")
    listed: list[JsonValue] = [one.model_dump(mode="json") for one in found[:_MAX_REPORTED]]
    count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
    return ConfigurationError(
        f"the configuration has {count}; correct and try again:\n" + "\n".join(shown),
        code=code,
        component=COMPONENT,
        context={"diagnostics": listed, "count": len(found)},
    )


def merged_repetitions(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics, each mistake in a loop once: what differs in nothing but the path is one mistake."""
    found: dict[tuple[str, int, int, str], Diagnostic] = {}
    counted: Counter[tuple[str, int, int, str]] = Counter()
    for one in diagnostics:
        key = (one.file, one.line, one.column, one.message.removeprefix(one.path) + one.hint)
        found.setdefault(key, one)
        counted[key] += 1
    return [_repeated(one, counted[key]) for key, one in found.items()]


def _repeated(one: Diagnostic, count: int) -> Diagnostic:
    if count == 1:
        return one
    hint = "; ".join(part for part in (one.hint, f"the same in {count} places") if part)
    return one.model_copy(update={"hint": hint})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'test'?`, or an empty text where nothing is similar."""
    folded = {one.lower(): one for one in sorted(known)[:_MAX_COMPARED]}
    if len(name) > _MAX_NAME:
        return ""
    similar = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f"did you mean {folded[similar[0]]!r}?" if similar else ""


def alternatives(name: str, known: Iterable[str], label: str) -> str:
    """A hint: what may have been meant, and everything that there is (`label: a, b`)."""
    names = sorted(known)
    listed = ", ".join(names[:_MAX_LISTED]) + (", ..." if len(names) > _MAX_LISTED else "")
    return " ".join(part for part in (did_you_mean(name, names), f"{label}: {listed or 'none'}") if part)
