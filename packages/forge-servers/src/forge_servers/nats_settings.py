"""Typed settings of the NATS server, and the configuration file they become (docs.nats.io, "Configuration")."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ServerError

EVERYTHING = ">"


@dataclass(frozen=True, kw_only=True)
class NatsUser:
    """One user. `publish` and `subscribe` are the allowed subjects (wildcards `*` and `>`): None all, () none.

    `allow_responses`: may answer a request once, whatever subject the reply goes to.
    """

    name: str
    password: str
    publish: tuple[str, ...] | None = None
    subscribe: tuple[str, ...] | None = None
    allow_responses: bool = False

    def __repr__(self) -> str:
        return f"NatsUser(name={self.name!r}, publish={self.publish!r}, subscribe={self.subscribe!r})"


@dataclass(frozen=True, kw_only=True)
class NatsTls:
    """TLS of client connections: PEM files; with `authority` clients must show a certificate signed by it."""

    certificate: Path
    key: Path
    authority: Path | None = None


@dataclass(frozen=True, kw_only=True)
class NatsCluster:
    """This server's part in a cluster: the cluster's name, this server's route port, `nats-route://host:port` of all."""

    name: str
    port: int
    routes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NatsSettings:
    """What the server is told. JetStream's limits are in bytes; `maximum_payload` is the largest message."""

    server_name: str = "forge"
    users: tuple[NatsUser, ...] = ()
    tls: NatsTls | None = None
    cluster: NatsCluster | None = None
    maximum_file_store: int = 10 * 2**30
    maximum_memory_store: int = 256 * 2**20
    maximum_payload: int = 2**20


def configuration(settings: NatsSettings, *, listen: str, monitoring: str, store: Path) -> str:
    """The text of a configuration file. `ServerError` where a value can't be written there."""
    content: dict[str, Any] = {
        "listen": listen,
        "http": monitoring,
        "server_name": settings.server_name,
        "max_payload": settings.maximum_payload,
        "jetstream": {
            "store_dir": str(store),
            "max_file_store": settings.maximum_file_store,
            "max_memory_store": settings.maximum_memory_store,
        },
    }
    if settings.users:
        content["authorization"] = {"users": [_user(user) for user in settings.users]}
    if settings.tls is not None:
        content["tls"] = _tls(settings.tls)
    if settings.cluster is not None:
        host = listen.rpartition(":")[0]
        cluster = settings.cluster
        content["cluster"] = {
            "name": cluster.name,
            "listen": f"{host}:{cluster.port}",
            "routes": list(cluster.routes),
        }
    _check(content)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _user(user: NatsUser) -> dict[str, Any]:
    permissions: dict[str, Any] = {
        verb: {"allow": list(subjects)} if subjects else {"deny": [EVERYTHING]}
        for verb, subjects in (("publish", user.publish), ("subscribe", user.subscribe))
        if subjects is not None
    }
    if user.allow_responses:
        permissions["allow_responses"] = True
    content: dict[str, Any] = {"user": user.name, "password": user.password}
    return content | ({"permissions": permissions} if permissions else {})


def _tls(tls: NatsTls) -> dict[str, Any]:
    content: dict[str, Any] = {"cert_file": str(tls.certificate.absolute()), "key_file": str(tls.key.absolute())}
    if tls.authority is not None:
        content |= {"ca_file": str(tls.authority.absolute()), "verify": True}
    return content


def _check(value: Any) -> None:
    """NATS reads JSON, but not its escapes of control characters."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, str) and not value.isprintable():
        raise ServerError("a NATS setting holds a character that can't be printed: remove it")
