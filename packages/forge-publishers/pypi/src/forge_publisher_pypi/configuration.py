"""What the repository and the project configure, and what the publisher says afterwards."""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from forge_sdk.models.base import ClosedModel, WireModel
from forge_sdk.secrets import SecretReference


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("credentials don't belong into the URL: use `credentials`, a secret reference")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return url.rstrip("/") + "/"
    raise ValueError("must be an https URL (http is accepted on loopback only)")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


IndexUrl = Annotated[str, AfterValidator(_checked_url)]


class RepositoryPypi(ClosedModel):
    """Fields of a publisher of type `pypi` in the repository's configuration.

    `index_url` is the simple API (PEP 503) that installers use. `upload_url` takes uploads; where it is not given it is the index without
    its last `simple` segment, which is right for most servers.
    """

    index_url: IndexUrl
    upload_url: IndexUrl | None = None
    credentials: SecretReference | None = None

    @property
    def upload(self) -> str:
        """Where uploads go."""
        return self.upload_url or self.index_url.removesuffix("simple/").removesuffix("+")


class ProjectPypi(ClosedModel):
    """Fields below `publishers.<name>` of an artifact: none."""


class PypiOutputs(WireModel):
    """What `@artifact` may name below `publishers.<name>`."""

    index_url: str
    package_name: str
    version: str
