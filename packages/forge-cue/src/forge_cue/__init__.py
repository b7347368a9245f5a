"""Evaluates CUE that comes from repositories nobody vouches for: in a child process, within limits, from memory only."""

from forge_cue.errors import EvaluatorCrashedError, EvaluatorError, LimitExceeded
from forge_cue.evaluator import Evaluator
from forge_cue.model import (
    Attribute,
    CueError,
    EvaluationRequest,
    EvaluationResponse,
    EvaluationResult,
    Fill,
    Instance,
    Position,
    Schema,
)
from forge_cue.paths import format_path

__all__ = [
    "Attribute",
    "CueError",
    "EvaluationRequest",
    "EvaluationResponse",
    "EvaluationResult",
    "Evaluator",
    "EvaluatorCrashedError",
    "EvaluatorError",
    "Fill",
    "Instance",
    "LimitExceeded",
    "Position",
    "Schema",
    "format_path",
]
