"""Publisher `pypi`: wheels and source distributions to a Python package index."""

from collections.abc import Sequence

from forge_publisher_pypi.publisher import PypiPublisher
from forge_sdk.plugins import Publisher, hookimpl


@hookimpl
def forge_publishers() -> Sequence[Publisher]:
    """The publisher `pypi`."""
    return [PypiPublisher()]
