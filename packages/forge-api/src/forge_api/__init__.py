"""Platform API of Catalyst Forge."""

__version__ = "0.1.0"
