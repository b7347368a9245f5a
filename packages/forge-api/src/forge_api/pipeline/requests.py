"""What a person asks of a run that has only the release stage of one project."""

from forge_sdk.models.base import WireModel


class ReleaseRequest(WireModel):
    """A manual release, or with `retry` the completion of a partial one; `rebuild` uses no sealed copy.

    `branch` and `tag` name the release, like those of an event would.
    """

    project: str
    branch: str | None = None
    tag: str | None = None
    aliases: tuple[str, ...] = ()
    retry: bool = False
    rebuild: bool = False
