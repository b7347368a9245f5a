"""Producer `python`: wheels and source distributions, built by the project's own build backend through `build`."""

from collections.abc import Sequence

from forge_producer_python.producer import PythonProducer
from forge_sdk.plugins import Producer, hookimpl


@hookimpl
def forge_producers() -> Sequence[Producer]:
    """The producer `python`."""
    return [PythonProducer()]
