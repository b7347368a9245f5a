"""Where configuration is read from: a commit in an object store, or a working tree."""

from forge_project.source.commit import CommitTree
from forge_project.source.tree import SourceTree
from forge_project.source.working import WorkingTree

__all__ = ["CommitTree", "SourceTree", "WorkingTree"]
