"""Settings of the plugin, from the sidecar's environment only.

What an application may set arrives with the prefix `ARGOCD_ENV_` and is never read: an application must not choose the
registry or the keys that its release is verified with.
"""

from .errors import CmpError

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in `typing`, which costs a warm run more than the rest of this module
    from collections.abc import Mapping

MAX_KEY_BYTES = 16 * 1024
DEFAULT_DEADLINE_S = 50.0
DEFAULT_CACHE_BYTES = 256 * 1024 * 1024


class Settings:
    """What the platform team configured. Key files are read here: their content is part of every verdict."""

    def __init__(self, environment: "Mapping[str, str]") -> None:
        self.registry = _required(environment, "FORGE_REGISTRY")
        self.plain_http = _flag(environment, "FORGE_REGISTRY_PLAIN_HTTP", default=False)
        self.ca_file = environment.get("FORGE_REGISTRY_CA_FILE") or None
        self.release_prefix = environment.get("FORGE_RELEASE_PREFIX", "").strip("/")
        self.require_signature = _flag(environment, "FORGE_REQUIRE_SIGNATURE", default=True)
        self.require_provenance = _flag(environment, "FORGE_REQUIRE_PROVENANCE", default=self.require_signature)
        self.allowed_refs = tuple(sorted(_list(environment.get("FORGE_ALLOWED_REFS", ""))))
        self.public_keys = _read_keys(environment.get("FORGE_PUBLIC_KEY_FILES", ""))
        self.cache_directory = environment.get("FORGE_CACHE_DIR") or None
        self.cache_bytes = int(_number(environment, "FORGE_CACHE_BYTES", DEFAULT_CACHE_BYTES))
        self.deadline_s = _number(environment, "FORGE_DEADLINE_SECONDS", DEFAULT_DEADLINE_S)
        self.username = environment.get("FORGE_REGISTRY_USERNAME") or None
        self.password_file = environment.get("FORGE_REGISTRY_PASSWORD_FILE") or None
        self.token_file = environment.get("FORGE_REGISTRY_TOKEN_FILE") or None
        self._check()

    @property
    def policy(self) -> "tuple[bytes, ...]":
        """What a verdict depends on besides the release: a verdict under another policy is none."""
        if not self.require_signature:
            return (b"unsigned",)
        provenance = b"provenance" if self.require_provenance else b"signature only"
        return (provenance, "\n".join(self.allowed_refs).encode(), *self.public_keys)

    def _check(self) -> None:
        if self.plain_http and not _is_loopback(self.registry):
            raise _invalid("FORGE_REGISTRY_PLAIN_HTTP", f"{self.registry} is not on loopback: use https")
        if self.require_signature and not self.public_keys:
            raise _invalid(
                "FORGE_PUBLIC_KEY_FILES",
                "no public key: name the files of the keys that sign releases, or set FORGE_REQUIRE_SIGNATURE=false",
            )
        if self.require_provenance and not self.require_signature:
            text = "an unsigned release says nothing of its artifacts: FORGE_REQUIRE_SIGNATURE must be true"
            raise _invalid("FORGE_REQUIRE_PROVENANCE", text)
        if self.allowed_refs and not self.require_provenance:
            raise _invalid("FORGE_ALLOWED_REFS", "the provenance says the ref: FORGE_REQUIRE_PROVENANCE must be true")
        if bool(self.username) != bool(self.password_file):
            raise _invalid("FORGE_REGISTRY_USERNAME", "user name and FORGE_REGISTRY_PASSWORD_FILE belong together")
        if self.username and self.token_file:
            raise _invalid("FORGE_REGISTRY_TOKEN_FILE", "give either a token or FORGE_REGISTRY_USERNAME")


def _read_keys(value: str) -> tuple[bytes, ...]:
    paths = [path for path in value.replace(",", ":").split(":") if path]
    return tuple(sorted({_read_key(path) for path in paths}))


def _list(value: str) -> "set[str]":
    return {part.strip() for part in value.split(",")} - {""}


def _read_key(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - pathlib costs a warm run more than everything else here
            return stream.read(MAX_KEY_BYTES)
    except OSError as error:
        raise _invalid("FORGE_PUBLIC_KEY_FILES", f"{path} can't be read: {error.strerror}") from error


def _required(environment: "Mapping[str, str]", name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise _invalid(name, "is not set: give the registry's host, host[:port]")
    return value


def _flag(environment: "Mapping[str, str]", name: str, *, default: bool) -> bool:
    value = environment.get(name, "").lower()
    if value in {"", "true", "1", "false", "0"}:
        return default if not value else value in {"true", "1"}
    raise _invalid(name, f"{value!r} is neither true nor false")


def _number(environment: "Mapping[str, str]", name: str, default: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise _invalid(name, f"{text!r} is not a positive number")
    return value


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    octets = name.split(".")
    is_ipv4 = len(octets) == 4 and all(octet.isdigit() for octet in octets)  # noqa: PLR2004
    return name in {"localhost", "[::1]"} or (is_ipv4 and octets[0] == "127")


def _invalid(name: str, problem: str) -> CmpError:
    return CmpError("configuration_invalid", problem, file=name)
