"""Jobs on NATS JetStream: definitions of streams and buckets, and the dispatcher that publishes jobs and awaits results."""

from forge_dispatch.dispatcher import Dispatcher, OnResult
from forge_dispatch.settings import DispatcherSettings

__all__ = ["Dispatcher", "DispatcherSettings", "OnResult"]
