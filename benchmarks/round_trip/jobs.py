"""The job that everybody carries: about 1.9 KB of JSON, as a task of a few steps has."""

from uuid import UUID, uuid4

from forge_sdk.models.jobs import Job, JobType

ENVIRONMENT = {
    f"VARIABLE_{number:02}": f"value of variable number {number:02} as steps have it" for number in range(20)
}


def make_jobs(count: int, run_id: UUID | None = None) -> list[Job]:
    """Jobs of one run, each with an id of its own."""
    run = run_id or uuid4()
    return [
        Job(
            id=uuid4(),
            type=JobType.CI,
            run_id=run,
            repository="acme/shop",
            clone_url="https://github.com/acme/shop.git",
            commit_sha="0123456789abcdef0123456789abcdef01234567",
            payload={"project": "api", "phase": "test", "environment": dict(ENVIRONMENT)},
        )
        for _ in range(count)
    ]
