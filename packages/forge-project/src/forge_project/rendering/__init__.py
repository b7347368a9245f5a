"""Rendering: from a project and its artifacts' outputs to Kubernetes manifests."""

from forge_project.rendering.render import Rendering

__all__ = ["Rendering"]
