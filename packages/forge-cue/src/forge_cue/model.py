"""Requests and results of the evaluator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Position(NamedTuple):
    """A place in a source file; line and column start at 1, and the column counts characters.

    Files of the schema are named `forge:schema/<name>`.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Fill:
    """A value for every field that carries an attribute, put in before evaluation.

    `arguments` is what stands between the attribute's parentheses, `web.uri` or `path="a.b"`: quotes and blanks don't
    matter. `value` is anything that JSON can hold. A field whose own value doesn't fit it gives an error with both places.
    """

    attribute: str
    arguments: str
    value: Any


@dataclass(frozen=True, slots=True)
class Schema:
    """CUE files of one package, compiled once and kept by the processes.

    `import_path` is the path under which users' files may import it; empty means that they can't.
    """

    files: Mapping[str, str]
    package: str = "v1"
    import_path: str = "forge.projectcatalyst.io/schema/v1"


@dataclass(frozen=True, slots=True)
class Instance:
    """One package to evaluate.

    `files` maps the paths that positions show to the files' text; each must say `package <package>`. `schema` is the
    definition to unify with, such as `#Project`; empty for none. With `require_concrete` a field without a concrete value
    is an error, otherwise its path is in the result's `open`. `fills` go before those of the request.
    """

    name: str
    package: str
    files: Mapping[str, str]
    schema: str = ""
    require_concrete: bool = False
    fills: Sequence[Fill] = ()


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """Instances that are evaluated together, each on its own: they share the limits of time and memory."""

    instances: Sequence[Instance]
    schema: Schema | None = None
    fills: Sequence[Fill] = ()


@dataclass(frozen=True, slots=True)
class CueError:
    """An error in the evaluated files or in the schema.

    `kind` is `syntax`, `bare_attribute`, `package`, `import`, `reference`, `value`, `not_allowed`, `required`,
    `incomplete`, `cycle` or `schema`. `path` is a CUE path, empty where there is none. `positions` holds users' files
    first, then the schema's. `allowed` are for `not_allowed` the fields that may stand there instead, as far as they are known.
    """

    message: str
    path: str
    positions: tuple[Position, ...]
    kind: str
    allowed: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.positions[0]}: " if self.positions else ""
        return f"{where}{self.path + ': ' if self.path else ''}{self.message}"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute on a field of a user's file, once for each place in the source.

    `arguments` are the positional ones, unquoted, and `named` those of the form `key=value`; `body` is the text between the
    parentheses. `paths` are the evaluated paths of the fields that got it: none in a `let` or an unused branch, several in
    a loop or a definition.
    """

    name: str
    arguments: tuple[str, ...]
    named: Mapping[str, str]
    body: str
    position: Position
    paths: tuple[str, ...] = ()

    @property
    def path(self) -> str | None:
        """The first evaluated path, None where there is none."""
        return self.paths[0] if self.paths else None


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What became of one instance: a value, or errors (then `value` is None).

    With errors, `partial` is what could be read of the files themselves, without the schema: fields in error are left out, and it is
    None where nothing could be read.
    Integers stay exact (up to 4,000 digits), other numbers are floats, bytes are base64 text. `open` holds paths of fields that
    have no concrete value: left out of `value`, or None in a list; the empty path is the package itself, which holds an
    undecided condition. `positions` maps paths of regular fields and list items to where the user's files write them, in
    the order of the source text; `format_path` makes such paths.
    """

    name: str
    value: Any = None
    attributes: list[Attribute] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)
    errors: list[CueError] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    partial: Any = None


@dataclass(frozen=True, slots=True)
class EvaluationResponse:
    """Results in the order of the request's instances; `errors` are the schema's own, and then there are no results."""

    results: list[EvaluationResult]
    errors: list[CueError] = field(default_factory=list)
