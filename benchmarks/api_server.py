"""The API as a process of its own, with its servers and an issuer of tokens, for benchmarks."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from round_trip.processes import running

from forge_api.database.lease import ENGINE_KEY
from forge_servers import NatsServer, PostgresServer, S3Server

ROLES = ("developer", "approver", "operator", "service-account")


@dataclass(frozen=True)
class Api:
    """A running API: host and port, a token that it accepts, and where its database is."""

    port: int
    token: str
    dsn: str


@asynccontextmanager
async def api(folder: Path, port: int, *, leads: bool = True) -> AsyncIterator[Api]:
    """The API while the block runs, without workers; unless it `leads`, another process has the engine's lease."""
    key = ec.generate_private_key(ec.SECP256R1())
    async with (
        PostgresServer(folder / "postgres") as postgres,
        NatsServer(folder / "nats") as nats,
        S3Server(folder / "s3") as storage,
        _issuer(key) as issuer,
    ):
        dsn = postgres.create_database("forge")
        file = folder / "api.yaml"
        file.write_text(yaml.safe_dump(_configuration(folder, port, (postgres, nats, storage), issuer)))
        (folder / "environments.yaml").write_text("environments: {dev: {}}\n")
        lease = await asyncpg.connect(dsn)
        if not leads:
            await lease.execute("select pg_advisory_lock($1)", ENGINE_KEY)
        async with running("-m", "forge_api", "serve", "--migrate", "--config", str(file), ready=b'"listening"'):
            yield Api(port, _token(key, issuer), dsn)
        await lease.close()


def _configuration(
    folder: Path, port: int, servers: tuple[PostgresServer, NatsServer, S3Server], issuer: str
) -> dict[str, Any]:
    postgres, nats, storage = servers
    files = {"database": postgres.password, "access": storage.access_key, "secret": storage.secret_key}
    for name, value in files.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
    return {
        "listen": {"port": port, "public_url": f"http://127.0.0.1:{port}"},
        "database": {
            "host": postgres.host,
            "port": postgres.port,
            "name": "forge",
            "user": postgres.user,
            "password_file": str(folder / "database"),
        },
        "nats": {"url": nats.url},
        "storage": {
            "endpoint_url": storage.endpoint_url,
            "access_key_file": str(folder / "access"),
            "secret_key_file": str(folder / "secret"),
        },
        "registry": {"host": "127.0.0.1:1", "plain_http": True},
        "identity": {"issuer": issuer},
        "gitops": {"url": "file:///nowhere"},
        "environments_file": str(folder / "environments.yaml"),
        "limits": {"runs_per_minute": 1_000_000},
        "log": {"level": "info"},
    }


@asynccontextmanager
async def _issuer(key: ec.EllipticCurvePrivateKey) -> AsyncIterator[str]:
    urls: list[str] = []

    async def discovery(_: web.Request) -> web.Response:
        return web.json_response({"issuer": urls[0], "jwks_uri": f"{urls[0]}/keys"})

    async def keys(_: web.Request) -> web.Response:
        public: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**public, "kid": "one", "use": "sig", "alg": "ES256"}]})

    application = web.Application()
    application.router.add_get("/.well-known/openid-configuration", discovery)
    application.router.add_get("/keys", keys)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield urls[0]
    finally:
        await runner.cleanup()


def _token(key: ec.EllipticCurvePrivateKey, issuer: str) -> str:
    now = int(time.time())
    claims = {"iss": issuer, "aud": "catalyst-forge", "sub": "bench", "iat": now, "exp": now + 3600, "roles": ROLES}
    return jwt.encode(claims, key, "ES256", headers={"kid": "one"})
