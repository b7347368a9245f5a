"""Errors of the package. All derive from `ServerError`."""


class ServerError(Exception):
    """A server could not be started, reached or stopped. The text says what to do next."""


class MissingServerError(ServerError):
    """A server's program is not installed."""

    def __init__(self, title: str, extra: str = "[all]") -> None:
        super().__init__(f"{title} is not installed: pip install 'catalyst-forge-servers{extra}'")


class PortTakenError(ServerError):
    """Another process listens on the wanted port."""


class DirectoryInUseError(ServerError):
    """Another server already runs on the wanted directory."""
