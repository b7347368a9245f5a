"""What a plugin implements, what it is given, and how plugins are found."""

from forge_sdk.plugins.contexts import Execution, ProducerContext, PublisherContext, ResolverContext, StepContext
from forge_sdk.plugins.contracts import Producer, Publisher, SecretResolver, StepAction, StepRequest, StepResult
from forge_sdk.plugins.hookspecs import PROJECT_NAME, hookimpl

__all__ = [
    "PROJECT_NAME",
    "Execution",
    "Producer",
    "ProducerContext",
    "Publisher",
    "PublisherContext",
    "ResolverContext",
    "SecretResolver",
    "StepAction",
    "StepContext",
    "StepRequest",
    "StepResult",
    "hookimpl",
]
