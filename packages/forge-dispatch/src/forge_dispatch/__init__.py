"""Jobs on NATS JetStream: definitions of streams and buckets, and the dispatcher that publishes jobs and awaits results."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forge_dispatch.admission import Admission, Share
    from forge_dispatch.dispatcher import Dispatcher, OnResult
    from forge_dispatch.settings import DispatcherSettings

__all__ = ["Admission", "Dispatcher", "DispatcherSettings", "OnResult", "Share"]
_MODULES = {
    "Admission": "admission",
    "Dispatcher": "dispatcher",
    "DispatcherSettings": "settings",
    "OnResult": "dispatcher",
    "Share": "admission",
}


def __getattr__(name: str) -> Any:
    # On demand, so that the command can say what it does without before NATS is imported.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
