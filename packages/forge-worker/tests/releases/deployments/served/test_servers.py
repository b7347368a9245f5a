"""The GitOps writer against git servers as people run them: SSH and HTTP, with credentials."""

import asyncio
import uuid

import pytest

from forge_sdk.configuration import GitOps
from forge_sdk.errors import AuthenticationError, PlatformError
from forge_sdk.retry import RetryPolicy
from forge_sdk.secrets import Secret
from forge_worker.gitops import Change, GitOpsRepository

ONCE = RetryPolicy(attempts=1)


def change(number):
    return Change(
        deployment_id=uuid.UUID(int=number),
        folder="production",
        path=f"production/p{number}/release.yaml",
        content=f"number: {number}\n".encode(),
        message=lambda _: f"Deploy {number}\n\nForge-Deployment: {uuid.UUID(int=number)}\n",
        same=lambda present: present == f"number: {number}\n".encode(),
    )


@pytest.fixture
def repository(remote, tmp_path):
    """The repository as one machine sees it; another name is another machine."""

    def make(name="one", secret=None, url=None):
        async def credentials():
            return Secret(secret or remote.secret)

        return GitOpsRepository(GitOps(url=url or remote.url), tmp_path / name, credentials)

    return make


async def test_a_pointer_is_pushed_and_found_again(repository, gitops_remote):
    made = await repository().commit(change(1))
    assert made.changed
    assert gitops_remote.commits()[0] == made.sha
    assert gitops_remote.file("production/p1/release.yaml") == "number: 1"
    assert await repository("another").commit(change(1)) == made
    assert len(gitops_remote.commits()) == 2


async def test_writers_of_several_machines_lose_nothing(repository, gitops_remote):
    machines = [repository(f"machine{number}") for number in range(3)]
    made = await asyncio.gather(*(machines[number % 3].commit(change(number)) for number in range(9)))
    assert len({commit.sha for commit in made}) == 9
    names = gitops_remote.git("ls-tree", "-r", "--name-only", "main", "production/").splitlines()
    assert len([name for name in names if name.endswith("release.yaml")]) == 9


async def test_wrong_credentials_are_told_and_not_shown(repository, remote, gitops_remote):
    before = gitops_remote.commits()
    with pytest.raises(AuthenticationError) as caught:
        await repository(secret=remote.wrong_secret).commit(change(1), retry=ONCE)
    shown = str(caught.value.to_detail())
    assert not [line for line in remote.wrong_secret.splitlines() if len(line) > 8 and line in shown]
    assert "wrong-password" not in shown
    assert gitops_remote.commits() == before


async def test_a_server_that_is_down_is_a_passing_failure(repository):
    for scheme in ("ssh://forge@127.0.0.1:9/x.git", "http://127.0.0.1:9/x.git"):
        with pytest.raises(PlatformError) as caught:
            await repository(scheme[:4], url=scheme).commit(change(1), retry=ONCE)
        assert caught.value.transient


async def test_a_host_that_is_not_known_gets_nothing(ssh_remote, tmp_path, gitops_remote):
    """Without the right host key anybody in between could take the pointer for itself."""
    before = gitops_remote.commits()
    key, _, _ = ssh_remote.secret.partition("[127.0.0.1]")
    other = "[127.0.0.1]:1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZpY3RpdGlvdXMtaG9zdC1rZXktZm9yLXRlc3RzLS0t\n"

    async def credentials():
        return Secret(key + other)

    with pytest.raises(PlatformError):
        await GitOpsRepository(GitOps(url=ssh_remote.url), tmp_path / "x", credentials).commit(change(1), retry=ONCE)
    assert gitops_remote.commits() == before
