"""Publisher `s3`: files and whole sites to S3 and what speaks like it."""

from collections.abc import Sequence

from forge_publisher_s3.publisher import S3Publisher
from forge_sdk.plugins import Publisher, hookimpl


@hookimpl
def forge_publishers() -> Sequence[Publisher]:
    """The publisher `s3`."""
    return [S3Publisher()]
