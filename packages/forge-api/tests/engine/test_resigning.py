"""Releases that wait for a signer."""

from datetime import timedelta

import pytest

from forge_api.engine.resigning import Resigning
from forge_sdk.errors import ErrorCode, TransientError, chain

LABEL = "release api"


@pytest.fixture
async def waiting(platform, make_document, make_project):
    """A run that failed since the signer could not be reached, after its artifact was made."""
    platform.worker.document = make_document(make_project("api", artifacts=("wheel",)))
    platform.worker.hold = {LABEL}
    run_id = await platform.start()
    await platform.running(LABEL)
    await platform.fetch("update release_attempts set state = 'awaiting_signature'")
    platform.worker.fail[LABEL] = TransientError(
        "the signer is away", code=ErrorCode.SIGNING_FAILED, component="worker"
    )
    platform.worker.hold = set()
    return await platform.finished(run_id)


@pytest.fixture
def resigning(platform):
    return Resigning(platform.database, platform.engine, timedelta(0))


async def test_the_attempt_waits_and_the_run_says_why(platform, waiting):
    assert (waiting.status, waiting.attempts[0].state) == ("failed", "awaiting_signature")
    assert [found.code for found in chain(waiting.error)][-1] == "signing_failed"


async def test_it_goes_on_without_a_rebuild_once_the_signer_is_back(platform, waiting, resigning):
    platform.worker.fail.clear()
    platform.worker.executed.clear()
    assert await resigning.once() == 1
    [run_id] = await platform.fetch("select id from pipeline_runs order by id desc limit 1")
    run = await platform.finished(run_id["id"])
    assert (run.releases[0].id, run.triggered_by) == (waiting.attempts[0].release_id, "forge-api")
    assert "artifact api/wheel" not in platform.worker.executed
    assert await resigning.once() == 0


async def test_a_signer_that_stays_away_is_asked_less_and_less_often(platform, waiting):
    await platform.fetch("update release_attempts set updated_at = now() - interval '90 seconds'")
    patient = Resigning(platform.database, platform.engine, timedelta(seconds=60))
    assert await patient.once() == 1
    [run_id] = await platform.fetch("select id from pipeline_runs order by id desc limit 1")
    platform.worker.fail[LABEL] = TransientError("away", code=ErrorCode.SIGNING_FAILED, component="worker")
    await platform.finished(run_id["id"])
    await platform.fetch(
        "update release_attempts set state = 'awaiting_signature', updated_at = now() - interval '90 seconds'"
    )
    assert await patient.once() == 0


async def test_a_cancelled_run_is_left_alone(platform, waiting, resigning):
    await platform.fetch("update pipeline_runs set status = 'cancelled'")
    assert await resigning.once() == 0
