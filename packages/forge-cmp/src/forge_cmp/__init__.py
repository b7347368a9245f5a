"""Argo CD config management plugin: prints the resources of the release that `release.yaml` names.

Argo CD starts it for every refresh of every application, so nothing is imported here, and what a warm run touches
imports no more than it needs.
"""

__version__ = "0.1.0"
