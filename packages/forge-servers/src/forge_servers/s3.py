"""An S3 server on the local disk (versitygw), the program `forge-s3` of this distribution."""

import os
import re
from pathlib import Path
from typing import ClassVar, Unpack

from .directory import DirectoryLock, kept_secret, make_private
from .errors import ServerError
from .http_probe import http_problem
from .options import StartOptions
from .ports import LOOPBACK
from .process import Command
from .programs import own_program
from .server import Server

ACCESS_KEY = re.compile(r"[A-Za-z0-9_-]{3,128}")
SHORTEST_SECRET = 8


class S3Server(Server):
    """S3 over plain http, path style. Buckets are folders in `directory/buckets`.

    Metadata lies in extended attributes, or in `directory/metadata` where the file system has none.

    Parameters (besides those of `Server`)
    ----------
    access_key, secret_key:
        Of the one account, which may do everything. Without a secret one is made and kept in the file `secret` (0600).
    region:
        Clients must name the same.
    access_log:
        File for one line per request; none without it.
    """

    title: ClassVar[str] = "the S3 server"
    log_name: ClassVar[str] = "s3.log"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        port: int | None = None,
        *,
        access_key: str = "forge",
        secret_key: str | None = None,
        region: str = "us-east-1",
        access_log: Path | None = None,
        **options: Unpack[StartOptions],
    ) -> None:
        super().__init__(directory, port, **options)
        if not ACCESS_KEY.fullmatch(access_key):
            raise ServerError("an S3 access key has 3 to 128 letters, digits, - and _")
        if secret_key is not None and len(secret_key) < SHORTEST_SECRET:
            raise ServerError(f"an S3 secret key has at least {SHORTEST_SECRET} characters")
        self.access_key = access_key
        self.region = region
        self._secret_key = secret_key
        self._access_log = access_log

    @property
    def host(self) -> str:
        """The address that the server listens on."""
        return LOOPBACK

    @property
    def secret_key(self) -> str:
        """The account's secret key."""
        if self._secret_key is not None:
            return self._secret_key
        make_private(self.directory)
        return kept_secret(self.directory / "secret")

    @property
    def endpoint_url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint; S3 has no URL form for keys."""
        return self.endpoint_url

    def _prepare(self, lock: DirectoryLock) -> None:  # noqa: ARG002 nothing runs here before the server
        for name in ("buckets", "versions"):
            make_private(self.directory / name)

    def _command(self) -> Command:
        log = () if self._access_log is None else ("-access-log", self._access_log.absolute())
        return Command(
            arguments=[
                own_program("forge-s3"),
                *("-address", f"{self.host}:{self.port}"),
                *("-data", self.directory / "buckets"),
                *("-versions", self.directory / "versions"),
                *("-sidecar", self.directory / "metadata"),
                *("-region", self.region),
                *log,
            ],
            log_file=self.log_file,
            working_directory=self.directory,
            environment={"FORGE_S3_ACCESS_KEY": self.access_key, "FORGE_S3_SECRET_KEY": self.secret_key},
            stop_signal=self.stop_signal,
        )

    def _problem(self, pid: int) -> str | None:  # noqa: ARG002 known by its port
        return http_problem(self.host, self.port, "/health")
