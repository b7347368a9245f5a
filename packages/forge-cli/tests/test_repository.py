import subprocess

import pytest

from forge_cli.repository import checkout
from forge_sdk.errors import ConfigurationError


def git(folder, *arguments):
    command = ["git", "-C", folder, "-c", "user.name=T", "-c", "user.email=t@example.com", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://github.com/acme/shop.git", "acme/shop"),
        ("https://github.com/acme/shop", "acme/shop"),
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("ssh://git@github.com/acme/shop.git", "acme/shop"),
        ("https://github.com/Acme/Shop.js.git", "Acme/Shop.js"),
    ],
)
def test_name_comes_from_origin(repository, origin, name):
    git(repository, "remote", "add", "origin", origin)
    assert checkout(repository).name == name


@pytest.mark.parametrize("origin", [None, "/srv/git/shop.git", "file:///srv/git/shop.git"])
def test_without_a_named_origin_the_folder_gives_the_name(repository, origin):
    if origin:
        git(repository, "remote", "add", "origin", origin)
    assert checkout(repository).name == "local/my-shop"


def test_facts_of_head(repository):
    git(repository, "tag", "v1.0.0")
    (repository / "new").write_text("not committed")
    found = checkout(repository)
    assert (found.branch, found.tag, found.uncommitted) == ("main", "v1.0.0", 1)
    assert found.commit_sha == git(repository, "rev-parse", "HEAD")
    assert found.clone_url == (repository / ".git").as_uri()


def test_a_worktree_is_fetched_from_its_common_directory(repository, tmp_path):
    git(repository, "worktree", "add", "-q", "-b", "other", tmp_path / "other")
    found = checkout(tmp_path / "other")
    assert (found.branch, found.clone_url) == ("other", (repository / ".git").as_uri())


def test_detached_head_has_no_branch(repository):
    git(repository, "checkout", "-q", "--detach")
    assert checkout(repository).branch is None


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(ConfigurationError, match="not inside a git repository"):
        checkout(tmp_path)
    git(tmp_path, "init", "-q")
    with pytest.raises(ConfigurationError, match="has no commit yet"):
        checkout(tmp_path)
    with pytest.raises(ConfigurationError, match="no folder"):
        checkout(tmp_path / "none")
