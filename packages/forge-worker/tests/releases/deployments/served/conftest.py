"""Real git servers: OpenSSH with git-shell, and git's own HTTP backend behind a small CGI host."""

import asyncio
import base64
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiohttp import web

USER, PASSWORD = "forge", "gitops-s3cret-password"
START_SECONDS = 20
CHUNK = 1 << 16


@dataclass
class ServedRemote:
    """A GitOps repository behind a server: how to reach it, with which secret, and with a wrong one."""

    url: str
    secret: str
    wrong_secret: str
    server: Any = field(repr=False, default=None)


def missing(what: str) -> NoReturn:
    """Skips on a person's machine, fails in CI."""
    if os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        pytest.fail(f"{what} is not installed", pytrace=False)
    pytest.skip(f"{what} is not installed")


def program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))
    return found or missing(f"{name} (Debian: openssh-server, openssh-client)")


def _key(path: Path) -> tuple[str, str]:
    """A new key: private text, public line."""
    subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.read_text(), path.with_suffix(".pub").read_text().strip()


@pytest.fixture
def ssh_remote(gitops_remote: Any, tmp_path: Path) -> Iterator[ServedRemote]:
    folder = tmp_path / "sshd"
    folder.mkdir()
    _, host_public = _key(folder / "host")
    private, public = _key(folder / "client")
    stranger, _ = _key(folder / "stranger")
    shell = shutil.which("git-shell") or missing("git-shell")
    (folder / "authorized").write_text(f'command="{shell} -c \\"$SSH_ORIGINAL_COMMAND\\"",restrict {public}\n')
    port = _free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "PidFile": folder / "pid",
        "AuthorizedKeysFile": folder / "authorized",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "forced-commands-only",
        "MaxStartups": "100",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([program("sshd"), "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
    try:
        _wait_until_open(port, server)
        host = " ".join(host_public.split()[:2])
        known = f"[127.0.0.1]:{port} {host}\n"
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{gitops_remote.path}"
        yield ServedRemote(url, private + known, stranger + known, server)
    finally:
        server.terminate()
        server.wait(10)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_open(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)  # poll of the server's own port
        else:
            return
    pytest.fail("sshd did not start")


class GitHost:
    """`git http-backend` as a CGI program, with basic authentication."""

    def __init__(self, root: Path) -> None:
        self._root = root
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self._authorization = f"Basic {token}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != self._authorization:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            env=self._environment(request),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        feeding = asyncio.create_task(self._feed(request, process.stdin))
        response = await self._start(request, process.stdout)
        while chunk := await process.stdout.read(CHUNK):
            await response.write(chunk)
        await feeding
        await process.wait()
        await response.write_eof()
        return response

    def _environment(self, request: web.Request) -> dict[str, str]:
        optional = {
            "CONTENT_LENGTH": request.headers.get("Content-Length"),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding"),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol"),
        }
        return {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "REMOTE_USER": USER,
            **{name: value for name, value in optional.items() if value},
        }

    @staticmethod
    async def _feed(request: web.Request, stdin: asyncio.StreamWriter) -> None:
        async for chunk in request.content.iter_chunked(CHUNK):
            stdin.write(chunk)
            await stdin.drain()
        stdin.close()

    @staticmethod
    async def _start(request: web.Request, stdout: asyncio.StreamReader) -> web.StreamResponse:
        response = web.StreamResponse()
        while (line := (await stdout.readline()).strip().decode()) != "":
            name, _, value = line.partition(": ")
            if name == "Status":
                response.set_status(int(value.split()[0]))
            else:
                response.headers[name] = value
        await response.prepare(request)
        return response


@pytest.fixture
async def http_remote(gitops_remote: Any) -> AsyncIterator[ServedRemote]:
    gitops_remote.git("config", "http.receivepack", "true")
    host = GitHost(gitops_remote.path.parent)
    # git compresses bodies itself, and its backend expects them so.
    application = web.Application(client_max_size=2**30, handler_args={"auto_decompress": False})
    application.router.add_route("*", "/{path:.*}", host.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/{gitops_remote.path.name}"
    yield ServedRemote(url, f"{USER}:{PASSWORD}", f"{USER}:wrong-password", site)
    await runner.cleanup()


@pytest.fixture(params=["ssh", "http"])
def remote(request: pytest.FixtureRequest) -> ServedRemote:
    return request.getfixturevalue(f"{request.param}_remote")
