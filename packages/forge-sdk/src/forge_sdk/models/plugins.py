"""What is known of installed plugins."""

from forge_sdk.models.base import WireModel


class PluginDescription(WireModel):
    """One installed plugin object."""

    kind: str
    name: str
    distribution: str
    version: str
    schema_digest: str


class PluginProblem(WireModel):
    """A plugin distribution that could not be used, and why."""

    distribution: str
    version: str
    message: str
