"""Servers of the embedded platform: PostgreSQL, NATS, S3 and an OCI registry as supervised children of this process."""

from .errors import DirectoryInUseError, MissingServerError, PortTakenError, ServerError
from .nats import NatsServer
from .nats_settings import NatsCluster, NatsSettings, NatsTls, NatsUser
from .ports import free_port, port_holder
from .postgres import PostgresServer
from .registry import RegistryServer
from .s3 import S3Server
from .server import Server

__all__ = [
    "DirectoryInUseError",
    "MissingServerError",
    "NatsCluster",
    "NatsServer",
    "NatsSettings",
    "NatsTls",
    "NatsUser",
    "PortTakenError",
    "PostgresServer",
    "RegistryServer",
    "S3Server",
    "Server",
    "ServerError",
    "free_port",
    "port_holder",
]
