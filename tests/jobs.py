"""Tasks that a test gives to workers itself, with no run behind them."""

import json
from uuid import UUID, uuid4

from harness import Repository

from forge_sdk.identifiers import job_id
from forge_sdk.models.jobs import Job, JobType
from forge_sdk.models.payloads import CiPayload, StepPlan


def task_of_one_step(repository: Repository, sha: str, run_id: UUID, name: str, script: str, **values: float) -> Job:
    """A task of project `name` whose step runs a line of shell; `values` are more fields of the job."""
    step = StepPlan(
        id=uuid4(), name="unit", action="command", configuration={"command": ["sh", "-c", script]}, timeout_s=60
    )
    payload = CiPayload(task_id=uuid4(), phase="test", project=name, project_path=".", waves=((step,),))
    return Job(
        id=job_id(run_id, "ci", "test", name),
        type=JobType.CI,
        run_id=run_id,
        repository=f"local/{repository.folder.name}",
        clone_url=repository.folder.as_uri(),
        commit_sha=sha,
        payload=json.loads(payload.model_dump_json()),
        **values,
    )
