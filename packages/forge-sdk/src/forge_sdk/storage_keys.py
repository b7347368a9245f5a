"""Keys of logs and results in object storage."""

from uuid import UUID

LOGS_PREFIX = "pipeline-logs"
STAGING_PREFIX = "artifact-staging"
RESULTS_PREFIX = "job-results"
LOG_OWNER = "forge-token"
"""Metadata of a whole log: the fencing token of the job that stored it."""
DISCOVERY_LOG = ("repository", "discovery")
"""Project and step under which a discovery logs."""


def log_key(run_id: UUID, phase: str, project: str, step: str) -> str:
    """`pipeline-logs/<run>/<phase>/<project>/<step>.log`; jobs without a step log under their type as phase."""
    return f"{LOGS_PREFIX}/{run_id}/{phase}/{project}/{step}.log"


def result_key(run_id: UUID, job_id: UUID) -> str:
    """`job-results/<run>/<job>.json`."""
    return f"{RESULTS_PREFIX}/{run_id}/{job_id}.json"


def staging_prefix(release_id: UUID, project: str, artifact: str) -> str:
    """`artifact-staging/<release>/<project>/<artifact>/`."""
    return f"{STAGING_PREFIX}/{release_id}/{project}/{artifact}/"


def log_segments_prefix(key: str) -> str:
    """Prefix of the segments of a log that is still being written."""
    return f"{key}.part/"


def log_segment_key(key: str, token: int, offset: int) -> str:
    """`<key>.part/<token>/<offset, 20 digits>`: what the job with that fencing token wrote from that byte on."""
    return f"{log_segments_prefix(key)}{token}/{offset:020d}"
