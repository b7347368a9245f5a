"""An OCI registry on the local disk (CNCF distribution), the program `forge-registry` of this distribution."""

import json
import os
from pathlib import Path
from typing import Any, ClassVar, Unpack

from .directory import DirectoryLock, kept_secret, make_private, write_private
from .errors import ServerError
from .http_probe import http_problem
from .options import StartOptions
from .ports import LOOPBACK
from .process import Command
from .programs import own_program
from .server import Server

READY_STATUSES = frozenset({200, 401})


class RegistryServer(Server):
    """A registry (OCI distribution specification) over plain http; blobs and manifests may be deleted.

    Parameters (besides those of `Server`)
    ----------
    htpasswd:
        File of `user:bcrypt-hash` lines; without it everybody may push.
    access_log:
        Whether each request is a line in the log file.
    """

    title: ClassVar[str] = "the OCI registry"
    log_name: ClassVar[str] = "registry.log"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        port: int | None = None,
        *,
        htpasswd: Path | None = None,
        access_log: bool = False,
        **options: Unpack[StartOptions],
    ) -> None:
        super().__init__(directory, port, **options)
        self._htpasswd = htpasswd
        self._access_log = access_log

    @property
    def host(self) -> str:
        """`127.0.0.1:port`, the first part of a reference to an image here."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://{self.host}"

    def _prepare(self, lock: DirectoryLock) -> None:  # noqa: ARG002 nothing runs here before the server
        if self._htpasswd is not None and not self._htpasswd.is_file():
            raise ServerError(f"{self._htpasswd} doesn't exist: write it, one user:bcrypt-hash a line")
        make_private(self.directory / "blobs")

    def _command(self) -> Command:
        configuration = self.directory / "config.yml"
        # JSON is YAML too.
        write_private(configuration, json.dumps(self._configuration(), indent=2))
        return Command(
            arguments=[own_program("forge-registry"), "serve", configuration],
            log_file=self.log_file,
            working_directory=self.directory,
            environment={"OTEL_TRACES_EXPORTER": "none"},
            stop_signal=self.stop_signal,
        )

    def _problem(self, pid: int) -> str | None:  # noqa: ARG002 known by its port
        return http_problem(LOOPBACK, self.port, "/v2/", READY_STATUSES)

    def _configuration(self) -> dict[str, Any]:
        configuration: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": not self._access_log}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.directory / "blobs")},
                "delete": {"enabled": True},
            },
            "http": {
                "addr": self.host,
                "secret": kept_secret(self.directory / "upload-secret"),
                "draintimeout": f"{max(1, int(self.stop_timeout / 2))}s",
            },
        }
        if self._htpasswd is not None:
            configuration["auth"] = {"htpasswd": {"realm": "forge", "path": str(self._htpasswd.absolute())}}
        return configuration
