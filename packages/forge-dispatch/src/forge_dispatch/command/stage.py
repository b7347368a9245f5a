"""Carrying out a stage: ask what is to do, do it, report it, until the API says that the stage has ended."""

import asyncio
from collections.abc import Sequence

import structlog

from forge_dispatch.admission import Share
from forge_dispatch.command.stage_api import StageApi
from forge_dispatch.dispatcher import Dispatcher
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.jobs import JobResult
from forge_sdk.models.stages import StageJobs, StageState

WITHDRAW_LIMIT_S = 90.0
"""How long cancelled jobs may take to end: a worker ends their processes first."""
_logger = structlog.get_logger("forge_dispatch")


async def carry_out(api: StageApi, dispatcher: Dispatcher, stop: asyncio.Event) -> StageJobs:
    """The stage's end. When `stop` is set its jobs are cancelled, and the answer is `cancelled`."""
    while True:
        plan = await api.jobs()
        if plan.state is not StageState.OPEN:
            return plan
        if stop.is_set() or await _stopped(api, dispatcher, plan, stop):
            return await _cancelled(api, dispatcher, plan)


async def _stopped(api: StageApi, dispatcher: Dispatcher, plan: StageJobs, stop: asyncio.Event) -> bool:
    """Run the jobs of a plan to their ends; true where `stop` came first."""
    running = asyncio.create_task(_run(api, dispatcher, plan))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
            return False
        return True
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait({running, stopping})


async def _run(api: StageApi, dispatcher: Dispatcher, plan: StageJobs) -> Sequence[JobResult]:
    if plan.withdraw:
        return await dispatcher.withdraw(plan.jobs, on_result=api.report)
    share = Share(lambda: plan.at_once)
    return await dispatcher.run(plan.jobs, fail_fast=plan.fail_fast, on_result=api.report, admission=share)


async def _cancelled(api: StageApi, dispatcher: Dispatcher, plan: StageJobs) -> StageJobs:
    _logger.info("stage_cancelled", jobs=len(plan.jobs))
    async with asyncio.timeout(WITHDRAW_LIMIT_S):
        await dispatcher.withdraw(plan.jobs, on_result=api.report)
    error = PlatformError(
        "the dispatcher was asked to stop and has cancelled its jobs", code=ErrorCode.CANCELLED, component="dispatch"
    )
    return StageJobs(stage=plan.stage, state=StageState.CANCELLED, error=error.to_detail())
