"""Which URLs of an issuer may be used."""

import ipaddress
from urllib.parse import urlsplit

from forge_sdk.errors import ConfigurationError


def require_safe(url: str, what: str) -> str:
    """`url` where it is https, or plain http on loopback; else `ConfigurationError`."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname and _is_loopback(parts.hostname):
        return url
    raise ConfigurationError(f"{what} {url!r} must be https: plain http is accepted on loopback only", component="api")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
