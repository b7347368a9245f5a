"""Where things go: keys, `s3://` names and public addresses."""

import re
from urllib.parse import quote

from forge_publisher_s3.configuration import ProjectS3, RepositoryS3
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.jobs import GitContext

DEFAULT_FOLDER = "{repository}/{project}/{commit}/"
DEFAULT_SITE = "{repository}/{project}/"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def base_key(
    repository: RepositoryS3, project: ProjectS3, *, names: dict[str, str], git: GitContext, commit_sha: str
) -> str:
    """The configured key with its placeholders filled, below the prefix; a folder ends with a slash.

    `names` holds `repository` and `project`. Raises `ConfigurationError` for a placeholder that is unknown or has no value here.
    """
    values = {**names, "commit": commit_sha} | ({"tag": git.tag} if git.tag else {})

    def filled(match: re.Match[str]) -> str:
        if match[1] not in values:
            known = ", ".join(sorted(values))
            raise ConfigurationError(f"key {project.key!r}: {match[0]} has no value here (known: {known})")
        return values[match[1]]

    key = _PLACEHOLDER.sub(filled, project.key or (DEFAULT_SITE if project.site else DEFAULT_FOLDER))
    if project.site and not key.endswith("/"):
        key += "/"
    return f"{repository.prefix.rstrip('/')}/{key}".removeprefix("/")


def object_keys(base: str, paths: list[str]) -> list[str]:
    """The key of each file: its name below the folder `base`, or `base` itself for a single one."""
    if base.endswith("/"):
        keys = [base + path.rpartition("/")[2] for path in paths]
    elif len(paths) == 1:
        return [base]
    else:
        raise ConfigurationError(f"key {base!r} names one object, the artifact has {len(paths)} files: end it with `/`")
    if len(set(keys)) != len(keys):
        raise ConfigurationError(f"two files of the artifact have one name below {base!r}: give them different names")
    return keys


def uri(repository: RepositoryS3, key: str) -> str:
    """`s3://<bucket>/<key>`."""
    return f"s3://{repository.bucket}/{key}"


def public_url(repository: RepositoryS3, key: str) -> str:
    """The address of an object for readers."""
    if repository.public_url is not None:
        base = repository.public_url
    elif repository.endpoint is not None:
        base = f"{repository.endpoint}/{repository.bucket}"
    else:
        suffix = "amazonaws.com.cn" if repository.region.startswith("cn-") else "amazonaws.com"
        base = f"https://{repository.bucket}.s3.{repository.region}.{suffix}"
    return f"{base}/{quote(key)}"
