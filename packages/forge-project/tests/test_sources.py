import asyncio
import os
import subprocess

import pytest

from forge_project import CommitTree, WorkingTree
from forge_project.source.batch import object_reader
from forge_project.source.tree import SourceLimits
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.jobs import GitContext

CUE = "package project\n"


async def test_commit_and_checkout_discover_the_same(component, repository, run_git, files):
    root = repository(files)
    context = GitContext(branch="main", event="push")
    commit = CommitTree(root / ".git", run_git(root, "rev-parse", "HEAD"))
    assert await component.discover(commit, context) == await component.discover(WorkingTree(root), context)


async def test_bare_store_is_read_without_checkout(repository, run_git, tmp_path, files):
    root = repository(files)
    run_git(tmp_path, "clone", "-q", "--bare", str(root), "bare.git")
    found = await CommitTree(tmp_path / "bare.git", run_git(root, "rev-parse", "HEAD")).files()
    assert found == {path: text.encode() for path, text in files.items()}


@pytest.mark.parametrize("kind", ["commit", "checkout"])
async def test_what_counts_as_configuration(repository, run_git, kind):
    root = repository(
        {
            ".forge/repo.cue": "package repo\n",
            ".forge/cue.mod/module.cue": 'module: "example.com"\n',
            ".forge/reserved/x.cue": CUE,
            ".forge/notes.txt": "",
            "deep/er/and/deeper/.forge/project.cue": CUE,
            "other/project.cue": CUE,
            "x.forge/project.cue": CUE,
            "a/.forge/.forge/some.txt": "text",
            "ä b/.forge/project.cue": CUE,
        }
    )
    found = await source(root, kind, run_git).files()
    assert found == {
        ".forge/cue.mod/module.cue": b'module: "example.com"\n',
        ".forge/repo.cue": b"package repo\n",
        "a/.forge/.forge/some.txt": b"",
        "deep/er/and/deeper/.forge/project.cue": CUE.encode(),
        "ä b/.forge/project.cue": CUE.encode(),
    }


@pytest.mark.parametrize("kind", ["commit", "checkout"])
async def test_links_are_never_followed(repository, run_git, tmp_path, kind):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "project.cue").write_text("secret")
    root = repository({".forge/repo.cue": "package repo\n", "a/.forge/other.cue": CUE})
    (root / "b").mkdir()
    (root / "b/.forge").symlink_to(outside)
    (root / "a/.forge/project.cue").symlink_to(outside / "project.cue")
    (root / "c").symlink_to(root / "a")
    run_git(root, "add", "-A")
    run_git(root, "commit", "-q", "-m", "links")
    found = await source(root, kind, run_git).files()
    assert set(found) == {".forge/repo.cue", "a/.forge/other.cue"}


async def test_tracked_folder_that_became_a_link_is_passed_over(repository, tmp_path):
    root = repository({"a/.forge/project.cue": CUE, "b/.forge/project.cue": CUE})
    (root / "a/.forge/project.cue").unlink()
    (root / "a/.forge").rmdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/project.cue").write_text("secret")
    (root / "a/.forge").symlink_to(tmp_path / "outside")
    assert set(await WorkingTree(root).files()) == {"b/.forge/project.cue"}


@pytest.mark.parametrize("kind", ["commit", "checkout"])
async def test_submodules_are_passed_over(repository, run_git, tmp_path, kind):
    inner = tmp_path / "inner"
    (inner / ".forge").mkdir(parents=True)
    (inner / ".forge/project.cue").write_text(CUE)
    run_git(inner, "init", "-q")
    run_git(inner, "add", "-A")
    run_git(inner, "commit", "-q", "-m", "inner")
    root = repository({".forge/repo.cue": "package repo\n"})
    run_git(root, "submodule", "--quiet", "add", str(inner), "module")
    run_git(root, "commit", "-q", "-m", "module")
    assert set(await source(root, kind, run_git).files()) == {".forge/repo.cue"}


async def test_checkout_takes_untracked_and_leaves_ignored_and_deleted_files(repository):
    root = repository({".gitignore": "ignored/\n", "gone/.forge/project.cue": CUE, "tracked/.forge/project.cue": CUE})
    for folder in ("new", "ignored"):
        (root / folder / ".forge").mkdir(parents=True)
        (root / folder / ".forge/project.cue").write_text(CUE)
    (root / "gone/.forge/project.cue").unlink()
    assert set(await WorkingTree(root).files()) == {"new/.forge/project.cue", "tracked/.forge/project.cue"}


async def test_checkout_is_read_from_its_root(repository, files):
    root = repository(files)
    assert set(await WorkingTree(root / "services").files()) == set(files)


async def test_folder_without_repository_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="run git init"):
        await WorkingTree(tmp_path).files()


async def test_unknown_commit_says_that_it_must_be_fetched(repository):
    root = repository({})
    with pytest.raises(PlatformError, match=r"lacks a{40}: fetch the commit first") as error:
        await CommitTree(root / ".git", "a" * 40).files()
    assert error.value.code is ErrorCode.GIT_FAILED


async def test_missing_store_is_a_git_error(tmp_path):
    with pytest.raises(PlatformError, match="git fsck") as error:
        await CommitTree(tmp_path, "a" * 40).files()
    assert error.value.code is ErrorCode.GIT_FAILED


async def test_reading_has_a_time_limit(repository, run_git):
    root = repository({})
    with pytest.raises(PlatformError, match="try again") as error:
        await CommitTree(root / ".git", run_git(root, "rev-parse", "HEAD"), timeout_s=0).files()
    assert error.value.code is ErrorCode.TIMEOUT


@pytest.mark.parametrize("name", ["HEAD", "--help", "A" * 40, "a" * 39, "a" * 40 + "\n"])
def test_only_whole_commit_names_are_accepted(tmp_path, name):
    with pytest.raises(ConfigurationError, match="all 40"):
        CommitTree(tmp_path, name)


@pytest.mark.parametrize("kind", ["commit", "checkout"])
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (SourceLimits(file_bytes=10), "a/.forge/project.cue has more than 10 bytes"),
        (SourceLimits(total_bytes=20), "more than 20 bytes"),
        (SourceLimits(files=1), "more than 1 files"),
    ],
)
async def test_limits(repository, run_git, kind, limits, message):
    root = repository({"a/.forge/project.cue": CUE, "b/.forge/project.cue": CUE})
    with pytest.raises(ConfigurationError, match=message):
        await source(root, kind, run_git, limits=limits).files()


async def test_commit_with_too_many_folders(repository, run_git):
    root = repository({f"{number}/x": "" for number in range(10)})
    commit = run_git(root, "rev-parse", "HEAD")
    with pytest.raises(ConfigurationError, match="more than 5 folders"):
        await CommitTree(root / ".git", commit, limits=SourceLimits(directories=5)).files()


@pytest.mark.parametrize("name", ["..", ".git"])
async def test_forbidden_names_in_a_tree(repository, run_git, name):
    root = repository({"a/.forge/project.cue": CUE})
    inner = run_git(root, "rev-parse", "HEAD:a")
    made = subprocess.run(
        ["git", "-C", str(root), "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input=b"40000 " + name.encode() + b"\x00" + bytes.fromhex(inner),
        check=True,
        capture_output=True,
    )
    commit = run_git(root, "commit-tree", "-m", "odd", made.stdout.decode().strip())
    with pytest.raises(ConfigurationError, match="forbidden name"):
        await CommitTree(root / ".git", commit).files()


@pytest.mark.parametrize("tree", [b"40000 a\x00" + bytes(19), b"40000 a", b"junk", b"100644 \x00"])
async def test_what_is_no_tree_is_refused(repository, run_git, tree):
    root = repository({"a/.forge/project.cue": CUE})
    made = subprocess.run(
        ["git", "-C", str(root), "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        input=tree,
        check=True,
        capture_output=True,
    )
    commit = run_git(root, "commit-tree", "-m", "odd", made.stdout.decode().strip())
    with pytest.raises(PlatformError, match="no tree of Git's"):
        await CommitTree(root / ".git", commit).files()


async def test_path_with_control_characters_is_refused(repository, run_git):
    root = repository({"a\nb/.forge/project.cue": CUE})
    with pytest.raises(ConfigurationError, match="control characters"):
        await source(root, "commit", run_git).files()


async def test_wide_commit_is_read_whole(repository, run_git):
    expected = {f"group{n % 7}/p{n}/.forge/project.cue": f"package project\n// {n}\n" for n in range(400)}
    root = repository(expected)
    found = await source(root, "commit", run_git).files()
    assert found == {path: text.encode() for path, text in expected.items()}


def source(root, kind, run_git, **options):
    if kind == "checkout":
        return WorkingTree(root, **options)
    return CommitTree(root / ".git", run_git(root, "rev-parse", "HEAD"), **options)


async def test_a_git_that_hangs_is_ended_with_the_reader(tmp_path, monkeypatch):
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1), object_reader(tmp_path) as reader:
            async for _ in reader.read([b"0" * 40], 100):
                pass
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_many_objects_come_in_order_and_large_ones_without_content(tmp_path):
    def git(*arguments, data=None):
        command = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    git("init", "-q")
    contents = [b"x" * (number * 37 % 5000) for number in range(700)] + [b"y" * 6_000_000]
    names = [git("hash-object", "-w", "--stdin", data=content).strip() for content in contents[-3:]]
    small = {content: git("hash-object", "-w", "--stdin", data=content).strip() for content in contents[:20]}
    asked = [*small.values(), b"0" * 40, *names] * 30
    async with object_reader(tmp_path / ".git") as reader:
        found = [entry async for entry in reader.read(asked, 5_000_000)]
    expected = [*small, None, *contents[-3:-1], None] * 30
    assert [entry.content if entry is not None else None for entry in found] == expected
