"""Discovery: from the configuration files of a commit to the discovery document."""

from forge_project.discovery.discover import Discovery

__all__ = ["Discovery"]
