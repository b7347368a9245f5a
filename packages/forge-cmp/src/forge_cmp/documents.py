"""A strict, bounded reader of YAML streams (never on the warm path: PyYAML takes longer than the rest of a run).

It works on parser events, without recursion, so deep nesting can't exhaust the stack; aliases, tags and directives are
refused, since different readers expand them differently, and keys given twice for the same reason.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from .errors import CmpError

MAX_DEPTH = 64
MAX_EVENTS = 2_000_000
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document(NamedTuple):
    """One document: its text as it stands in the stream, and its value with every scalar as a string."""

    text: str
    value: dict[str, Any]


class _Container:
    def __init__(self, value: "dict[str, Any] | list[Any]") -> None:
        self.value = value
        self.key: str | None = None


def read_documents(content: bytes, file: str, *, code: str = "document_invalid") -> list[Document]:
    """The documents of a YAML stream; empty ones are left out.

    Raises `CmpError` of `code` for what isn't YAML or not a mapping; `yaml_alias`, `yaml_tag`, `yaml_directive`,
    `yaml_duplicate_key`, `yaml_too_deep`, `yaml_too_large` for what is refused although it is YAML.
    """
    text = _decode(content, file, code)
    try:
        values = list(_values(_bounded(yaml.parse(text, Loader=_Loader), file), file, code))
    except yaml.YAMLError as error:
        raise CmpError(code, "is not valid YAML", file=file, details=tuple(str(error).splitlines())) from error
    starts = [_line_start(text, start, file, code) for start, _ in values]
    ends = [*starts, len(text)][1:]
    return [
        Document(text[start:end], _mapping(value, file, code))
        for (_, value), start, end in zip(values, starts, ends, strict=True)
        if value not in (None, "")
    ]


def _decode(content: bytes, file: str, code: str) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CmpError(code, f"is not UTF-8 at byte {error.start}", file=file) from error
    text = text.replace("\r\n", "\n")
    if text.startswith("\ufeff") or "\r" in text:
        raise CmpError(code, "holds a byte order mark or a carriage return: write UTF-8 and line feeds only", file=file)
    return text if text.endswith("\n") else f"{text}\n"


def _line_start(text: str, start: int, file: str, code: str) -> int:
    line_start = text.rfind("\n", 0, start) + 1
    if text[line_start:start].strip(" "):
        # YAML 1.1 knows more line breaks than the readers that split at "\n---".
        raise CmpError(code, "holds a document that does not begin at the beginning of a line", file=file)
    return line_start


def _mapping(value: Any, file: str, code: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CmpError(code, "holds a document that is not a mapping", file=file)
    return value


def _bounded(events: Iterator[Any], file: str) -> Iterator[Any]:
    for count, event in enumerate(events):
        if count >= MAX_EVENTS:
            raise CmpError("yaml_too_large", f"has more than {MAX_EVENTS} nodes", file=file)
        _refuse(event, file)
        yield event


def _refuse(event: Any, file: str) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise CmpError("yaml_alias", f"line {_line(event)}: aliases are not accepted: write the value out", file=file)
    if isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
        raise CmpError(
            "yaml_directive", f"line {_line(event)}: directives are not accepted: remove the % line", file=file
        )
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise CmpError("yaml_tag", f"line {_line(event)}: tags are not accepted: remove {tag[:100]!r}", file=file)


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _values(events: Iterator[Any], file: str, code: str) -> Iterator[tuple[int, Any]]:
    start, root, stack = 0, None, list[_Container]()
    for event in events:
        # Scalars come first: they are most of the events.
        if isinstance(event, yaml.NodeEvent):
            value = _value(event)
            if stack:
                _add(stack[-1], value, event, file, code)
            else:
                root = value
            if not isinstance(value, str):
                stack.append(_Container(value))
            if len(stack) > MAX_DEPTH:
                raise CmpError("yaml_too_deep", f"is nested more than {MAX_DEPTH} levels deep", file=file)
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            mark: Any = event.start_mark
            start, root = mark.index, None
        elif isinstance(event, yaml.DocumentEndEvent):
            yield start, root


def _value(event: Any) -> "dict[str, Any] | list[Any] | str":
    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    return {} if isinstance(event, yaml.MappingStartEvent) else []


def _add(container: _Container, value: Any, event: Any, file: str, code: str) -> None:
    if isinstance(container.value, list):
        container.value.append(value)
    elif container.key is not None:
        container.value[container.key], container.key = value, None
    elif not isinstance(value, str):
        raise CmpError(code, f"line {_line(event)}: a key is not a plain value", file=file)
    elif value in container.value:
        raise CmpError("yaml_duplicate_key", f"line {_line(event)}: {value[:100]!r} is given twice", file=file)
    else:
        container.key = value
