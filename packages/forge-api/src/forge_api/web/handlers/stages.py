"""What dispatchers in processes of their own ask for and report."""

from http import HTTPStatus
from uuid import UUID

from forge_api.web.call import Answer, Call
from forge_api.web.errors import validation_error
from forge_sdk.models.base import ClosedModel
from forge_sdk.models.stages import Stage, StageQuery, StageResult

_NEEDS = {Stage.PHASE_GROUP: "group", Stage.RELEASE: "project", Stage.DEPLOYMENT: "deployment"}


class StagePath(ClosedModel):
    """Variables of the path of a stage."""

    run_id: UUID
    stage: Stage


class ResultsPath(ClosedModel):
    """Variable of the path of results."""

    run_id: UUID


async def jobs(call: Call) -> Answer:
    """What is to do in a stage now."""
    path, query = call.path_as(StagePath), call.query_as(StageQuery)
    _require_fitting(path.stage, query.group, query.project, query.deployment)
    return Answer(await call.services.stages.jobs(path.run_id, path.stage, query))


async def record(call: Call) -> Answer:
    """The result of a job of a stage."""
    body = call.body_as(StageResult)
    _require_fitting(body.stage, body.group, body.project, body.deployment)
    await call.services.stages.record(call.path_as(ResultsPath).run_id, body)
    return Answer(status=HTTPStatus.NO_CONTENT)


def _require_fitting(stage: Stage, group: int | None, project: str | None, deployment: UUID | None) -> None:
    given = {"group": group, "project": project, "deployment": deployment}
    needed = _NEEDS.get(stage)
    problems = [
        {
            "pointer": f"/{name}",
            "message": f"is needed by stage {stage}" if name == needed else f"stage {stage} has none",
        }
        for name, value in given.items()
        if (value is not None) != (name == needed)
    ]
    if problems:
        raise validation_error([{**problem} for problem in problems])
