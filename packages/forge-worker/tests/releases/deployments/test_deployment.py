import asyncio
import subprocess
import uuid
from pathlib import Path

import pytest
import yaml

from forge_sdk.configuration import GitOps
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.releases import ReleasePointer
from forge_worker.gitops import Change, GitOpsRepository

PATH = "production/shop-api/release.yaml"


async def test_file_urls_work_like_paths(gitops_remote, tmp_path):
    url = f"file://{gitops_remote.path}"
    repository = GitOpsRepository(GitOps(url=url), tmp_path / "clones", _no_credentials)
    assert (await repository.commit(_change(1))).sha == gitops_remote.commits()[0]


async def test_the_pointer_is_committed(pointer, deploy, gitops_remote):
    before = gitops_remote.commits()
    output = await deploy(pointer(approved_by=("bob@example.com", "carol@example.com")))
    assert output.changed
    assert gitops_remote.commits() == [output.gitops_commit_sha, *before]
    text = gitops_remote.file(PATH)
    value = yaml.safe_load(text)
    assert list(value) == ["apiVersion", "kind", "metadata", "spec"]
    assert value["spec"]["deployedAt"] == "2026-01-01T00:00:00Z"
    assert ReleasePointer.model_validate(value).spec.aliases.numeric == 42
    assert gitops_remote.git("diff", "--name-only", "main~1", "main") == PATH
    message = gitops_remote.git("log", "-1", "--format=%B", "main")
    assert message.splitlines() == [
        f"Deploy acme/shop/api {'a' * 12} to production",
        "",
        "From: nothing",
        f"To: {'a' * 40} (#42, main-42)",
        f"Digest: sha256:{'b' * 64}",
        "Deployed by: alice@example.com",
        "Approved by: bob@example.com, carol@example.com",
        "",
        f"Forge-Deployment: {uuid.UUID(int=1)}",
    ]
    assert gitops_remote.git("fsck", "--strict") is not None


async def test_a_redelivered_job_finds_its_commit(pointer, deploy, gitops_remote):
    first = await deploy(number=1)
    await deploy(pointer(release="c" * 40), number=2)
    commits = gitops_remote.commits()
    assert await deploy(number=1) == first
    assert gitops_remote.commits() == commits


async def test_the_same_release_again_changes_nothing(pointer, deploy, gitops_remote):
    first = await deploy(number=1)
    await deploy(number=2, environment="dev")
    again = await deploy(pointer(deployed_by="bob"), number=3)
    assert (again.changed, again.gitops_commit_sha) == (False, first.gitops_commit_sha)
    assert "alice" in gitops_remote.file(PATH)


async def test_another_digest_of_the_release_is_a_change(pointer, deploy, gitops_remote):
    await deploy(number=1)
    assert (await deploy(pointer(digest="d" * 64), number=2)).changed
    assert f"From: {'a' * 40} (#42, main-42)" in gitops_remote.git("log", "-1", "--format=%B", "main")


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_crash_changes_nothing_in_the_end(deploy, observer, gitops_remote, side):
    observer.stop_at = f"deployment.push:{side}"
    with pytest.raises(Exception, match="push"):
        await deploy()
    output = await deploy()
    assert output.changed
    assert gitops_remote.commits()[0] == output.gitops_commit_sha
    assert len(gitops_remote.commits()) == 2


async def test_text_of_people_cannot_forge_a_trailer(pointer, deploy, gitops_remote):
    await deploy(pointer(deployed_by=f"eve\n\nForge-Deployment: {uuid.UUID(int=2)}"), number=1)
    assert (await deploy(pointer(release="c" * 40), number=2)).changed
    assert "c" * 40 in gitops_remote.file(PATH)


async def test_a_missing_environment_says_what_to_commit(deploy):
    with pytest.raises(ConfigurationError, match=r"staging/env\.yml"):
        await deploy(environment="staging")


async def test_a_file_in_the_place_of_a_folder_is_not_replaced(deploy, gitops_remote, tmp_path):
    await deploy(number=1)
    with pytest.raises(ConfigurationError, match="has a blob at"):
        await deploy(environment="production", slug="env.yml", number=2)
    assert "EnvironmentConfig" in gitops_remote.file("production/env.yml")


@pytest.mark.parametrize("name", ["..", "a/b", "-x", ".git", ""])
async def test_odd_names_are_refused(deploy, name, gitops_remote):
    with pytest.raises(ConfigurationError):
        await deploy(environment=name)
    with pytest.raises(ConfigurationError):
        await deploy(slug=name)
    assert len(gitops_remote.commits()) == 1


async def test_a_missing_branch_and_a_missing_repository_are_named(jobs, deploy, gitops_remote, configuration):
    gitops_remote.git("branch", "-m", "main", "trunk")
    with pytest.raises(ConfigurationError, match="no branch 'main'"):
        await deploy()
    gitops_remote.path.rename(gitops_remote.path.with_name("gone.git"))
    with pytest.raises(PlatformError) as caught:
        await deploy()
    assert caught.value.code is ErrorCode.DEPLOYMENT_FAILED


async def test_a_refusing_hook_fails_at_once_with_its_words(deploy, gitops_remote):
    hook = gitops_remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    count = gitops_remote.path / "count"
    hook.write_text(f"#!/bin/sh\necho x >> {count}\necho the branch is frozen >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PlatformError, match="the branch is frozen") as caught:
        await deploy()
    assert caught.value.code is ErrorCode.DEPLOYMENT_FAILED
    assert count.read_text() == "x\n"


async def test_a_damaged_clone_is_made_anew(pointer, deploy, configuration, gitops_remote):
    await deploy(number=1)
    (clone,) = (configuration.cache.workspace / "gitops").glob("*.git")
    for path in clone.glob("objects/*/*"):
        path.chmod(0o644)
        path.write_bytes(b"")
    assert (await deploy(pointer(release="c" * 40), number=2)).changed


async def _no_credentials():
    return None


def _change(number):
    return Change(
        deployment_id=uuid.UUID(int=number),
        folder="production",
        path=f"production/p{number}/release.yaml",
        content=f"number: {number}\n".encode(),
        message=lambda _: f"Deploy {number}\n\nForge-Deployment: {uuid.UUID(int=number)}\n",
        same=lambda present: present == f"number: {number}\n".encode(),
    )


async def test_twenty_writers_on_one_clone_lose_nothing(gitops_remote, tmp_path: Path):
    repository = GitOpsRepository(GitOps(url=gitops_remote.url), tmp_path / "clones", _no_credentials)
    results = await asyncio.gather(*(repository.commit(_change(number)) for number in range(20)))
    assert len({result.sha for result in results}) == 20
    names = gitops_remote.git("ls-tree", "-r", "--name-only", "main", "production/").splitlines()
    assert len([name for name in names if name.endswith("release.yaml")]) == 20
    assert len(gitops_remote.commits()) == 21


async def test_writers_of_several_machines_lose_nothing(gitops_remote, tmp_path: Path):
    machines = [
        GitOpsRepository(GitOps(url=gitops_remote.url), tmp_path / f"machine{number}", _no_credentials)
        for number in range(5)
    ]
    results = await asyncio.gather(*(machines[number % 5].commit(_change(number)) for number in range(20)))
    assert len({result.sha for result in results}) == 20
    assert len(gitops_remote.commits()) == 21


async def test_a_writer_that_was_slower_applies_its_change_to_what_it_finds(gitops_remote, tmp_path, make_source):
    """Another writer pushes between our fetch and our push, by way of a hook that runs before ours is accepted."""
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", gitops_remote.url, str(other)], check=True)
    hook = gitops_remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!/bin/sh\nrm {hook}\nunset GIT_DIR GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY "
        f"GIT_ALTERNATE_OBJECT_DIRECTORIES\ncd {other} && echo x > x && git add x && "
        "git -c user.name=o -c user.email=o@o commit -qm other && git push -q origin HEAD:main\n"
    )
    hook.chmod(0o755)
    repository = GitOpsRepository(GitOps(url=gitops_remote.url), tmp_path / "clones", _no_credentials)
    assert (await repository.commit(_change(1))).changed
    subjects = gitops_remote.git("log", "--format=%s", "main").splitlines()
    assert subjects == ["Deploy 1", "other", "change"]
