"""CI jobs: steps in waves, in one worktree, with logs, secrets and time limits."""

import asyncio
import uuid

import pytest

from forge_sdk.errors import ConfigurationError, ErrorCode
from forge_sdk.messaging import cancel_key
from forge_sdk.models.discovery import StepSecret
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import GitContext, JobType
from forge_sdk.models.payloads import CiOutput, CiPayload, StepPlan
from forge_sdk.secrets import SecretReference
from forge_worker.handlers import HANDLERS
from forge_worker.handlers.ci import project_directory


@pytest.fixture
def run_task(platform, make_services, storage, recording_api, run_worker, source):
    """Runs waves of steps as a CI job of a commit; gives its result and the outcomes by the steps' names."""

    async def run(*waves, files=None, during=None, **fields):
        sha = source.commit({"services/api/file": "text", **(files or {})})
        payload = CiPayload(task_id=uuid.uuid4(), phase="test", project="api", project_path="services/api", waves=waves)
        job = platform.job(
            clone_url=source.url,
            commit_sha=sha,
            payload=payload.model_dump(mode="json"),
            git=GitContext(ref="refs/heads/main", branch="main"),
            **fields,
        )
        services = make_services(storage=storage, api=recording_api)
        async with run_worker(platform, services, {JobType.CI: HANDLERS[JobType.CI]}):
            await platform.publish(job)
            if during is not None:
                await during(job)
            result = await platform.result(job.id, 30)
        return result, {step.name: step for step in result.output_as(CiOutput).steps}

    return run


def step(script, name="unit", **fields):
    return StepPlan(
        **{"id": uuid.uuid4(), "name": name, "action": "script", "configuration": {"script": script}, "timeout_s": 60}
        | fields
    )


def chain(error: ErrorDetail | None):
    while error is not None:
        yield error
        error = error.cause


async def test_waves_share_a_worktree_and_log_each_step(run_task, storage, recording_api):
    first, second = step("cat file; echo made > ../made", "first"), step("cat ../made; pwd", "second")
    result, steps = await run_task((first,), (second,))
    assert result.status == "success"
    assert steps["second"].status == "success"
    assert steps["second"].exit_code == 0
    assert steps["second"].logs_key == f"{steps['first'].logs_key.rsplit('/', 1)[0]}/second.log"
    text = (await storage.get(steps["second"].logs_key, limit=10_000)).decode()
    assert "made\n" in text
    assert "/services/api\n" in text
    assert "starting second" in text
    assert recording_api.step_statuses(first.id) == ["running", "success"]
    tasks = [task.status.value for job in recording_api.jobs for task in job.tasks]
    assert tasks == ["running", "success"]


async def test_steps_of_a_wave_run_at_once(run_task):
    meet = "touch {0}; while [ ! -e {1} ]; do sleep 0.01; done"
    result, _ = await run_task((step(meet.format("a", "b"), "one"), step(meet.format("b", "a"), "two")))
    assert result.status == "success"


async def test_the_first_failure_cancels_its_wave_and_skips_the_rest(run_task):
    result, steps = await run_task(
        (step("echo wrong; exit 3", "bad"), step("sleep 600", "slow")), (step("true", "later"),)
    )
    assert result.status == "failed"
    assert {name: outcome.status.value for name, outcome in steps.items()} == {
        "bad": "failed",
        "slow": "cancelled",
        "later": "skipped",
    }
    assert steps["bad"].exit_code == 3
    codes = [error.code for error in chain(result.error)]
    assert codes == [ErrorCode.TASK_FAILED, ErrorCode.STEP_FAILED]
    below = result.error.cause
    assert "exit code 3" in below.message
    assert "wrong" in below.message
    assert below.context["logs_key"] == steps["bad"].logs_key


async def test_a_step_has_its_own_time(run_task, storage):
    result, steps = await run_task((step("echo begun; sleep 600", timeout_s=0.5),))
    assert steps["unit"].status == "failed"
    assert [error.code for error in chain(result.error)][-1] == ErrorCode.TIMEOUT
    text = await storage.get(steps["unit"].logs_key, limit=10_000)
    assert b"begun" in text
    assert b"took longer than 0.5 s" in text


async def test_secrets_are_in_the_environment_and_in_no_log(run_task, storage):
    reference = SecretReference(provider="vault", path="ci/acme/shop/token")
    script = 'test "$TOKEN" = s3cr3t-value-of-the-token && echo "token is $TOKEN"; exit 1'
    result, steps = await run_task((step(script, secrets=(StepSecret(env="TOKEN", reference=reference),)),))
    text = await storage.get(steps["unit"].logs_key, limit=10_000)
    assert b"token is ***" in text
    assert "s3cr3t" not in result.model_dump_json()


async def test_secrets_of_other_repositories_are_refused(run_task):
    reference = SecretReference(provider="vault", path="ci/other/repo/token")
    result, steps = await run_task((step("true", secrets=(StepSecret(env="TOKEN", reference=reference),)),))
    assert steps["unit"].status == "failed"
    assert [error.code for error in chain(result.error)][-1] == ErrorCode.PERMISSION_DENIED


async def test_the_environment_of_a_step(run_task, storage):
    _, steps = await run_task((step("env"),))
    lines = (await storage.get(steps["unit"].logs_key, limit=100_000)).decode().splitlines()
    assert {"CI=true", "FORGE_PROJECT=api", "FORGE_STEP=unit", "FORGE_PHASE=test", "FORGE_BRANCH=main"} <= set(lines)
    assert "SOURCE_DATE_EPOCH=1767323045" in lines


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"action": "absent"}, ErrorCode.PLUGIN_MISSING),
        ({"action": "broken"}, ErrorCode.PLUGIN_FAILED),
        ({"configuration": {}}, ErrorCode.CONFIGURATION_INVALID),
    ],
)
async def test_what_a_plugin_does_wrong_fails_the_step(run_task, fields, code):
    result, steps = await run_task((step("true", **fields),))
    assert steps["unit"].status == "failed"
    assert code in [error.code for error in chain(result.error)]


async def test_cancelling_a_run_ends_processes_that_resist(run_task, tmp_path, platform, eventually, alive):
    pids = tmp_path / "pids"
    pids.mkdir()
    script = f"""
        trap '' TERM
        touch {pids}/$$
        setsid sh -c "trap '' TERM; touch {pids}/\\$\\$; while :; do sleep 1; done" &
        while :; do sleep 1; done
    """

    async def cancel(job):
        await eventually(lambda: len(list(pids.iterdir())) == 2, "two processes")
        await platform.cancel(cancel_key(job.run_id))

    result, steps = await run_task((step(script),), (step("true", "later"),), during=cancel)
    assert result.status == "cancelled"
    assert {outcome.status.value for outcome in steps.values()} == {"cancelled", "skipped"}
    assert [path.name for path in pids.iterdir() if alive(int(path.name))] == []


async def test_the_jobs_timeout_keeps_outcomes_and_log(run_task, storage):
    result, steps = await run_task((step("echo one", "first"),), (step("echo two; sleep 600", "second"),), timeout_s=4)
    assert result.error.code == ErrorCode.TIMEOUT
    assert steps["first"].status == "success"
    assert steps["second"].status == "cancelled"
    assert b"two" in await storage.get(steps["second"].logs_key, limit=10_000)


def test_a_project_path_outside_the_repository_is_refused(tmp_path):
    (tmp_path / "tree" / "inside").mkdir(parents=True)
    (tmp_path / "tree" / "link").symlink_to("/etc")
    assert project_directory(tmp_path / "tree", "inside").name == "inside"
    for path in ("..", "link", "/etc", "absent"):
        with pytest.raises(ConfigurationError, match="not a folder"):
            project_directory(tmp_path / "tree", path)


async def test_tasks_of_one_commit_run_at_once_in_worktrees_of_their_own(
    platform, make_services, storage, run_worker, source
):
    sha = source.commit({"services/api/file": "text"})
    jobs = []
    for number in range(4):
        payload = CiPayload(
            task_id=uuid.uuid4(),
            phase="test",
            project="api",
            project_path="services/api",
            waves=((step(f"test ! -e mark && echo {number} > mark", "one"),), (step(f"grep -x {number} mark", "two"),)),
        )
        jobs.append(platform.job(clone_url=source.url, commit_sha=sha, payload=payload.model_dump(mode="json")))
    async with run_worker(platform, make_services(storage=storage), {JobType.CI: HANDLERS[JobType.CI]}, slots=4):
        await asyncio.gather(*(platform.publish(job) for job in jobs))
        results = [await platform.result(job.id, 40) for job in jobs]
    assert [result.status for result in results] == ["success"] * 4
