"""Step action and producer `command`: run an argument list in the project's folder."""

from collections.abc import Sequence

from forge_producer_command.action import CommandAction
from forge_producer_command.producer import CommandProducer
from forge_sdk.plugins import Producer, StepAction, hookimpl


@hookimpl
def forge_step_actions() -> Sequence[StepAction]:
    """The step action `command`."""
    return [CommandAction()]


@hookimpl
def forge_producers() -> Sequence[Producer]:
    """The producer `command`."""
    return [CommandProducer()]
