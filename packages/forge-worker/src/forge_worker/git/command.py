"""Runs git with a clean environment; credentials never stand in URLs, arguments or files that outlive the call."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from forge_sdk import telemetry
from forge_sdk.errors import ErrorCode, PlatformError, TransientError
from forge_sdk.secrets import Masker, Secret
from forge_worker.execution.process import run_process
from forge_worker.git.failures import COMPONENT, git_failure

TIMEOUT_S = 600.0
MAX_OUTPUT = 64 * 2**20
MAX_ERRORS = 64 * 1024
REMOTE = {"clone", "fetch", "push"}
"""Commands that talk to another machine and so stand in traces."""
PROTOCOLS = "https:ssh"
LOCAL_PROTOCOLS = "https:ssh:http:git:file"
SETTINGS = {
    # A cache may belong to another user id after a volume moved.
    "safe.directory": "*",
    # Repository code can write below its worktree: nothing that it may leave there is executed.
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "credential.helper": "",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "init.defaultBranch": "main",
    "http.followRedirects": "initial",
}
_COPIED = (
    "PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
)


def git_environment(*, allow_local: bool = False) -> dict[str, str]:
    """The environment of every git call: no prompts, no configuration of machine or user, allowed protocols only."""
    settings = list(SETTINGS.items())
    numbered = {f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in enumerate(settings)}
    values = {f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in enumerate(settings)}
    return {
        "PATH": os.defpath,
        **{name: os.environ[name] for name in _COPIED if name in os.environ},
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": LOCAL_PROTOCOLS if allow_local else PROTOCOLS,
        "GIT_SSH_COMMAND": "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes",
        "GIT_CONFIG_COUNT": str(len(settings)),
        **numbered,
        **values,
    }


@dataclass(frozen=True, slots=True)
class Git:
    """Git in one directory. `environment` is added to the clean one; `secrets` are masked in what git says.

    `allow_local` admits `file`, `http` and `git` URLs, for the embedded platform.
    """

    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    allow_local: bool = False
    secrets: tuple[Secret, ...] = ()

    async def run(
        self,
        *arguments: str,
        input: bytes | None = None,  # noqa: A002 - named as in subprocess
        timeout_s: float = TIMEOUT_S,
        max_output: int = MAX_OUTPUT,
    ) -> bytes:
        """Standard output of `git <arguments>`; `input` is its standard input.

        Raises `PlatformError` (`git_failed`) with git's own words, transient where the network was at fault or time ran
        out, `AuthenticationError` where credentials were refused; credentials are masked.
        """
        traced = telemetry.span(f"git {arguments[0]}", kind="client") if arguments[0] in REMOTE else nullcontext()
        with traced:
            exit_code, output, text = await self._run(arguments, input, timeout_s, max_output)
            if exit_code != 0:
                raise git_failure(arguments[0], exit_code, self._masked(text))
        return output

    async def succeeds(self, *arguments: str) -> bool:
        """Whether `git <arguments>` exits with 0."""
        exit_code, _, _ = await self._run(arguments, None, TIMEOUT_S, MAX_OUTPUT)
        return exit_code == 0

    async def _run(
        self, arguments: tuple[str, ...], data: bytes | None, timeout_s: float, max_output: int
    ) -> tuple[int, bytes, str]:
        output, errors = _Collected(max_output), _Collected(MAX_ERRORS, cut=True)
        try:
            async with asyncio.timeout(timeout_s):
                end = await run_process(
                    ["git", *arguments],
                    cwd=self.directory,
                    environment={**git_environment(allow_local=self.allow_local), **self.environment},
                    sink=output.add,
                    error_sink=errors.add,
                    input=data,
                    stragglers=False,
                )
        except TimeoutError as error:
            raise TransientError(
                f"git {arguments[0]} took longer than {timeout_s:.0f} s", code=ErrorCode.GIT_FAILED, component=COMPONENT
            ) from error
        return end.exit_code, bytes(output.data), errors.data.decode(errors="replace")

    def _masked(self, text: str) -> str:
        masker = Masker()
        for secret in self.secrets:
            masker.register(secret)
        return masker.text(text)


class _Collected:
    """Output in memory: more than `limit` bytes are an error, or with `cut` are left out."""

    def __init__(self, limit: int, *, cut: bool = False) -> None:
        self.data = bytearray()
        self._limit, self._cut = limit, cut

    async def add(self, chunk: bytes) -> None:
        self.data += chunk
        if len(self.data) <= self._limit:
            return
        if not self._cut:
            raise PlatformError(
                f"git wrote more than {self._limit} bytes", code=ErrorCode.GIT_FAILED, component=COMPONENT
            )
        del self.data[: -self._limit]
