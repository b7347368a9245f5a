"""What can go wrong with the evaluator itself; errors in the CUE that it evaluates are results, not exceptions."""

from typing import ClassVar, Literal

Limit = Literal["time", "memory", "stack", "input", "output"]


class EvaluatorError(Exception):
    """Root of this package's exceptions."""


class EvaluatorCrashedError(EvaluatorError):
    """The child process ended for a reason that is none of its limits; the next request gets a new one."""


class LimitExceeded(EvaluatorError):  # noqa: N818 - named as its code, CUE_LIMIT_EXCEEDED
    """The configuration asks for more than an evaluation may use: it must be made smaller or simpler.

    `limit` names what was exceeded, `value` is the limit in seconds (`time`) or bytes (all others).
    """

    code: ClassVar[str] = "CUE_LIMIT_EXCEEDED"

    def __init__(self, limit: Limit, value: float) -> None:
        unit = "seconds" if limit == "time" else "bytes"
        super().__init__(
            f"{self.code}: the evaluation exceeded the {limit} limit of {value} {unit}: simplify the configuration"
        )
        self.limit: Limit = limit
        self.value = value
