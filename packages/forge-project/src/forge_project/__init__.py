"""Configuration of repositories: schema composed from plugins, discovery of a commit, rendering of resources."""

from forge_cue import Evaluator, EvaluatorError
from forge_project.component import PLATFORM_VERSION, ProjectComponent
from forge_project.schema import compose
from forge_project.source import CommitTree, SourceTree, WorkingTree

__all__ = [
    "PLATFORM_VERSION",
    "CommitTree",
    "Evaluator",
    "EvaluatorError",
    "ProjectComponent",
    "SourceTree",
    "WorkingTree",
    "compose",
]
