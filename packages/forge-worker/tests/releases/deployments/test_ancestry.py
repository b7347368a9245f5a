"""Which commit comes after which: against a model over random graphs, and as deployment jobs decide it."""

import subprocess
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_worker.git.ancestry import is_descendant

GRAPHS = st.lists(st.sets(st.integers(0, 11), max_size=3), min_size=1, max_size=12)


def make_graph(folder, graph):
    """A repository with one commit for each entry, whose parents are earlier ones (numbers below its own); returns the SHAs."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    lines, parents = [], []
    for number, chosen in enumerate(graph):
        parents.append(sorted(parent for parent in chosen if parent < number))
        # Times run backwards: they must not matter.
        lines += [f"commit refs/heads/c{number}", f"mark :{number + 1}", f"committer a <a> {1000 - number} +0000"]
        message = f"{number}"
        lines += [f"data {len(message)}", message]
        lines += [f"{'from' if not place else 'merge'} :{parent + 1}" for place, parent in enumerate(parents[-1])]
        if not parents[-1]:
            lines += ["deleteall"]
        lines += [""]
    stream = "\n".join([*lines, ""]).encode()
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=stream, check=True)
    names = [f"c{number}" for number in range(len(graph))]
    found = subprocess.run(["git", "-C", str(folder), "rev-parse", *names], capture_output=True, text=True, check=True)
    return found.stdout.split(), parents


def history(parents, number):
    found, todo = set(), [number]
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo += parents[current]
    return found


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GRAPHS, st.integers(0, 11), st.integers(0, 11))
async def test_it_is_what_the_graph_says(tmp_path, graph, later, earlier):
    later, earlier = later % len(graph), earlier % len(graph)
    shas, parents = make_graph(tmp_path / uuid.uuid4().hex, graph)
    repository = next(path for path in tmp_path.iterdir() if path.is_dir())
    try:
        assert await is_descendant(repository, shas[later], shas[earlier]) is (earlier in history(parents, later))
    finally:
        subprocess.run(["rm", "-rf", str(repository)], check=True)


async def test_an_unknown_commit_comes_before_nothing(source):
    commit = source.commit({"a": "1"})
    assert not await is_descendant(source.path / ".git", commit, "f" * 40)


@pytest.mark.parametrize("name", ["HEAD", "--all", "abc", "A" * 40])
async def test_only_full_shas_are_accepted(source, name):
    commit = source.commit({"a": "1"})
    with pytest.raises(ConfigurationError, match="full SHA"):
        await is_descendant(source.path / ".git", commit, name)


@pytest.fixture
def commits(source):
    """`base` and then `next`, and `aside` that comes from `base` too."""
    made = {"base": source.commit({"a": "1"}), "next": source.commit({"a": "2"})}
    source.git("checkout", "-q", "-b", "aside", made["base"])
    made["aside"] = source.commit({"a": "3"})
    source.git("checkout", "-q", "main")
    return made


@pytest.mark.parametrize(
    ("deployed", "wanted", "is_allowed"),
    [
        ("base", "next", True),
        ("base", "base", True),
        ("next", "base", False),
        ("next", "aside", False),
        ("aside", "next", False),
    ],
)
async def test_a_pointer_moves_forwards_only(deploy, pointer, gitops_remote, commits, deployed, wanted, is_allowed):
    await deploy(pointer(release=commits[deployed]), number=1)
    before = gitops_remote.commits()
    try:
        await deploy(pointer(release=commits[wanted]), number=2, must_descend_from=commits[deployed])
    except PlatformError as error:
        outcome = error
    else:
        outcome = None
    if is_allowed:
        assert outcome is None
    else:
        assert outcome.code is ErrorCode.DEPLOYMENT_REFUSED
        assert commits[deployed] in outcome.message
        assert commits[wanted] in outcome.message
        assert gitops_remote.commits() == before


async def test_what_the_repository_holds_counts_even_where_the_platform_knows_less(
    deploy, pointer, gitops_remote, commits
):
    """A run that finishes late: the platform planned it before the newer one was there."""
    await deploy(pointer(release=commits["next"]), number=1)
    before = gitops_remote.commits()
    with pytest.raises(PlatformError, match="does not descend") as caught:
        await deploy(pointer(release=commits["aside"]), number=2, must_descend_from=commits["base"])
    assert caught.value.context["deployed"] == commits["next"]
    assert gitops_remote.commits() == before


async def test_a_named_intent_goes_back(deploy, pointer, commits):
    await deploy(pointer(release=commits["next"]), number=1)
    assert (await deploy(pointer(release=commits["base"]), number=2)).changed


async def test_a_repeated_job_finds_its_commit_although_it_would_be_refused_now(deploy, pointer, commits):
    await deploy(pointer(release=commits["base"]), number=1)
    first = await deploy(pointer(release=commits["next"]), number=2, must_descend_from=commits["base"])
    await deploy(pointer(release=commits["base"]), number=3)
    assert await deploy(pointer(release=commits["next"]), number=2, must_descend_from=commits["base"]) == first
