"""Aliases that a Git event gives a release."""

from forge_sdk.models.discovery import RepositoryConfiguration


def tag_alias(repository: RepositoryConfiguration, project: str, tag: str) -> str | None:
    """The alias by a tag: with the strategy `monorepo` what follows `<project>/`, with `tag-all` the tag itself.

    Nothing where the tag is another project's.
    """
    if repository.tagging_strategy == "tag-all":
        return tag
    owner, _, version = tag.rpartition("/")
    return version if owner == project and version else None


def branch_alias(branch: str, number: int) -> str:
    """`<branch>-<release number>` with `/` as `-`."""
    return f"{branch.replace('/', '-')}-{number}"
