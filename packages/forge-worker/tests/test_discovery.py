"""Discovery jobs over the cached repository."""

import pytest

from forge_cue import Evaluator
from forge_project import ProjectComponent
from forge_sdk.errors import ErrorCode
from forge_sdk.models.discovery import ArtifactDefinition, DiscoveredProject, DiscoveryDocument
from forge_sdk.models.jobs import GitContext, JobType
from forge_worker.handlers import HANDLERS
from forge_worker.handlers.discovery import missing_plugins


@pytest.fixture
async def project(plugins):
    async with Evaluator() as evaluator:
        yield ProjectComponent(plugins, evaluator)


async def test_a_commit_becomes_a_document(platform, make_services, run_worker, source, project, tmp_path, storage):
    sha = source.commit({"README.md": "nothing to discover"})
    job = platform.job(type=JobType.DISCOVERY, clone_url=source.url, commit_sha=sha, git=GitContext(branch="main"))
    async with run_worker(platform, make_services(project=project, storage=storage), HANDLERS):
        await platform.publish(job)
        result = await platform.result(job.id)
    assert result.status == "success", result.error
    assert result.output_as(DiscoveryDocument).projects == ()
    assert not (tmp_path / "cache" / "workspace" / "worktrees").exists()


async def test_problems_of_a_configuration_fail_the_job(platform, make_services, run_worker, source, project, storage):
    sha = source.commit({".forge/repo.cue": "forgeVersion: \n", "api/.forge/project.cue": "name: 3\n"})
    job = platform.job(type=JobType.DISCOVERY, clone_url=source.url, commit_sha=sha)
    async with run_worker(platform, make_services(project=project, storage=storage), HANDLERS):
        await platform.publish(job)
        result = await platform.result(job.id)
    assert result.status == "failed"
    assert result.error.code == ErrorCode.CONFIGURATION_INVALID
    assert result.error.context["diagnostics"]


async def test_a_commit_that_is_gone(platform, make_services, run_worker, source, project, storage):
    source.commit({"a": "1"})
    job = platform.job(type=JobType.DISCOVERY, clone_url=source.url, commit_sha="1" * 40)
    async with run_worker(platform, make_services(project=project, storage=storage), HANDLERS):
        await platform.publish(job)
        result = await platform.result(job.id)
    assert result.error.code == ErrorCode.NOT_FOUND


def test_plugins_that_are_not_installed_are_named(plugins):
    artifact = ArtifactDefinition(name="web", type="container", producer="docker")
    document = DiscoveryDocument(projects=(DiscoveredProject(name="web", path=".", artifacts=(artifact,)),))
    assert list(missing_plugins(document, plugins)) == ["producer 'docker' of project web"]
