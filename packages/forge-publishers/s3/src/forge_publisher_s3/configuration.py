"""What the repository and the project configure, and what the publisher says afterwards."""

import ipaddress
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from forge_sdk.models.base import ClosedModel, WireModel
from forge_sdk.secrets import SecretReference

MAX_KEY = 512


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("credentials don't belong into the URL: use `credentials`, a secret reference")
    if parts.query or parts.fragment or not parts.hostname:
        raise ValueError("must be scheme, host and path only")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return url.rstrip("/")
    raise ValueError("must be an https URL (http is accepted on loopback only)")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_key(key: str) -> str:
    parts = key.rstrip("/").split("/") if key else []
    if any(part in {"", ".", ".."} for part in parts) or not key.isprintable() or "\\" in key:
        raise ValueError("must be names separated by single slashes, without `.`, `..` and a leading slash")
    return key


Url = Annotated[str, AfterValidator(_checked_url)]
Key = Annotated[str, Field(max_length=MAX_KEY), AfterValidator(_checked_key)]


class RepositoryS3(ClosedModel):
    """Fields of a publisher of type `s3` in the repository's configuration.

    `endpoint` is for other servers than Amazon's and needs `credentials`: the worker's own identity is never shown to them. `public_url` is the
    address under which readers reach the bucket's root, where that is another one than S3's own.
    """

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    prefix: Key = ""
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]{1,40}$")
    endpoint: Url | None = None
    public_url: Url | None = None
    credentials: SecretReference | None = None

    @model_validator(mode="after")
    def _own_identity_goes_to_amazon_only(self) -> Self:
        if self.endpoint is not None and self.credentials is None:
            raise ValueError("`endpoint` needs `credentials`: a secret reference that holds access:secret")
        return self


class ProjectS3(ClosedModel):
    """Fields below `publishers.<name>` of an artifact.

    `key` names the object, or with a slash at its end the folder of all files; `{commit}`, `{tag}` and `{project}` in it are filled in. With `site` the
    artifact's archive is unpacked below `key`, and `index` is the page that is put there last.
    """

    key: Key = ""
    site: bool = False
    index: Key = "index.html"
    cache_control: str | None = Field(default=None, pattern=r"^[ -~]{1,200}$")


class S3Outputs(WireModel):
    """What `@artifact` may name below `publishers.<name>`."""

    bucket: str
    key: str
    public_url: str
