"""The cache of bare repositories and the worktrees over it."""

import asyncio
import http.server
import os
import threading

import pytest

from forge_sdk.errors import AuthenticationError, ConfigurationError, ErrorCode, PlatformError, TransientError
from forge_sdk.secrets import Secret
from forge_worker.git.cache import RepositoryCache
from forge_worker.git.command import Git
from forge_worker.git.credentials import authenticated
from forge_worker.git.worktrees import Worktrees

COMMIT_TIME = 1767323045


@pytest.fixture
def cache(tmp_path):
    return RepositoryCache(tmp_path / "repositories", 2**30, allow_local=True)


@pytest.fixture
def worktrees(tmp_path):
    return Worktrees(tmp_path / "workspace")


def repositories(tmp_path):
    return sorted((tmp_path / "repositories").glob("*.git"))


async def test_a_missing_commit_is_fetched_once(cache, source, tmp_path):
    first = source.commit({"a": "1"})
    async with cache.commit(source.url, first) as commit:
        assert commit.time == COMMIT_TIME
        assert await Git(commit.git_directory).run("show", f"{first}:a") == b"1"
    source.path.rename(tmp_path / "gone")
    async with cache.commit(source.url, first):
        pass
    assert (cache.hits, cache.misses) == (1, 1)


async def test_a_later_commit_brings_its_history(cache, source):
    first = source.commit({"a": "1"})
    async with cache.commit(source.url, first):
        pass
    second = source.commit({"a": "2"})
    async with cache.commit(source.url, second) as commit:
        assert await Git(commit.git_directory).succeeds("merge-base", "--is-ancestor", first, second)


async def test_a_commit_that_is_not_there_says_so(cache, source):
    source.commit({"a": "1"})
    with pytest.raises(PlatformError, match="never pushed") as error:
        async with cache.commit(source.url, "1" * 40):
            pass
    assert error.value.code is ErrorCode.NOT_FOUND


async def test_many_at_once_in_several_processes_caches(source, tmp_path):
    commits = [source.commit({"a": str(number)}) for number in range(4)]
    caches = [RepositoryCache(tmp_path / "repositories", 2**30, allow_local=True) for _ in range(3)]

    async def use(cache, sha):
        async with cache.commit(source.url, sha) as commit:
            return await Git(commit.git_directory).run("show", f"{sha}:a")

    found = await asyncio.gather(*(use(cache, sha) for sha in commits for cache in caches))
    assert found == [str(number).encode() for number in range(4) for _ in caches]
    assert len(repositories(tmp_path)) == 1


@pytest.mark.parametrize("damage", ["head", "object", "pack"])
async def test_a_corrupt_repository_is_cloned_again(source, tmp_path, damage):
    sha = source.commit({f"file{number}": "x" * 1000 * number for number in range(5)})
    if damage == "pack":
        source.git("gc", "-q")
    async with RepositoryCache(tmp_path / "repositories", 2**30, allow_local=True).commit(source.url, sha) as commit:
        _damage(commit.git_directory, damage)
    async with RepositoryCache(tmp_path / "repositories", 2**30, allow_local=True).commit(source.url, sha) as commit:
        assert await Git(commit.git_directory).run("show", f"{sha}:file1") == b"x" * 1000
    assert len(repositories(tmp_path)) <= 2


def _damage(git_directory, damage):
    if damage == "head":
        (git_directory / "HEAD").write_bytes(b"\0\0\0")
        return
    objects = [path for path in (git_directory / "objects").rglob("*") if path.is_file()]
    assert objects
    for path in objects:
        path.chmod(0o600)
        path.write_bytes(b"" if damage == "object" else b"garbage" * 100)


async def test_a_checkout_that_finds_corruption_can_be_retried(cache, worktrees, source):
    sha = source.commit({"a": "text"})
    async with cache.commit(source.url, sha) as commit:
        _damage(commit.git_directory, "pack")
        with pytest.raises(TransientError, match="cloned again"):
            async with worktrees.checkout(commit):
                pass
    async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
        assert (path / "a").read_text() == "text"


async def test_the_least_recently_used_goes_but_never_what_is_in_use(make_source, tmp_path):
    cache = RepositoryCache(tmp_path / "repositories", 150_000, allow_local=True)
    sources = [make_source(name) for name in ("one", "two", "three")]
    commits = [source.commit({"a": os.urandom(50_000).hex()}) for source in sources]
    async with cache.commit(sources[0].url, commits[0]) as used:
        async with cache.commit(sources[1].url, commits[1]) as second:
            pass
        async with cache.commit(sources[2].url, commits[2]) as third:
            pass
        assert used.git_directory.is_dir()
        assert not second.git_directory.is_dir()
        assert third.git_directory.is_dir()
    async with cache.commit(sources[1].url, commits[1]):
        pass
    assert len(repositories(tmp_path)) < 3


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("file:///etc", AuthenticationError),
        ("http://host/repo.git", AuthenticationError),
        ("ext::sh -c id", ConfigurationError),
        ("https://user:password@host/repo.git", ConfigurationError),
        ("--upload-pack=id", ConfigurationError),
        ("/etc", ConfigurationError),
    ],
)
async def test_urls_that_a_platform_refuses(tmp_path, url, error):
    cache = RepositoryCache(tmp_path / "repositories", 2**30)
    with pytest.raises(error):
        async with cache.commit(url, "1" * 40):
            pass


async def test_worktrees_are_private_and_clean_when_reused(cache, worktrees, source):
    first = source.commit({"a": "1", "b/c": "2", ".gitignore": "ignored\n"})
    second = source.commit({"a": "3", "b/c": None})
    async with cache.commit(source.url, first) as one, worktrees.checkout(one) as path:
        async with worktrees.checkout(one) as other:
            assert other != path
        for name in ("a", "new", "ignored", "b/d"):
            (path / name).write_text("changed")
        (path / "nested" / ".git").mkdir(parents=True)
    async with cache.commit(source.url, second) as two, worktrees.checkout(two) as reused:
        assert reused in {path, other}
        assert sorted(file.name for file in reused.iterdir()) == [".git", ".gitignore", "a"]
        assert (reused / "a").read_text() == "3"
        assert await Git(reused).run("status", "--porcelain", "--ignored") == b""


async def test_an_untouched_worktree_is_given_again_as_it_is(cache, worktrees, source):
    sha = source.commit({"a": "1", "b/c": "2"})
    states = []
    for _ in range(2):
        async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
            states.append({entry: entry.lstat().st_ctime_ns for entry in path.rglob("*")})
    assert states[0] == states[1]


async def test_repository_code_can_poison_neither_files_nor_git(cache, worktrees, source):
    sha = source.commit({"a": "good"})
    async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
        (path / "a").write_text("evil")
        await Git(path).run("update-index", "--assume-unchanged", "a")
        (path / ".git" / "hooks").mkdir(exist_ok=True)
        hook = path / ".git" / "hooks" / "post-checkout"
        hook.write_text(f"#!/bin/sh\ntouch {path}/hooked\n")
        hook.chmod(0o755)
        await Git(path).run("config", "core.sshCommand", "touch hooked")
    async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as reused:
        assert reused == path
        assert (reused / "a").read_text() == "good"
        assert not (reused / "hooked").exists()


async def test_a_change_of_the_same_size_and_time_is_undone(cache, worktrees, source):
    sha = source.commit({"a": "good", "b": "good"})
    for _ in range(3):
        async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
            assert [(path / name).read_text() for name in ("a", "b")] == ["good", "good"]
            for name in ("a", "b"):
                before = (path / name).stat()
                (path / name).write_text("evil")
                os.utime(path / name, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_a_folder_moved_behind_a_link_is_put_back(cache, worktrees, source):
    sha = source.commit({"folder/a": "good", "b": "good"})
    for _ in range(2):
        async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
            assert not (path / "folder").is_symlink()
            assert (path / "folder" / "a").read_text() == "good"
            assert sorted(entry.name for entry in path.iterdir()) == [".git", "b", "folder"]
            (path / "folder").rename(path / "moved")
            (path / "folder").symlink_to("moved")


async def test_a_checkout_that_was_cut_off_is_completed_by_the_next(cache, worktrees, source):
    first = source.commit(dict.fromkeys("abc", "1"))
    second = source.commit({"a": "2", "b": None, "d": "2"})
    async with cache.commit(source.url, first) as commit, worktrees.checkout(commit) as path:
        pass
    (path / "a").write_text("2")
    (path / "d").write_text("2")
    async with cache.commit(source.url, second) as commit, worktrees.checkout(commit) as path:
        assert {file.name: file.read_text() for file in path.iterdir() if file.is_file()} == {
            "a": "2",
            "c": "1",
            "d": "2",
        }
    async with cache.commit(source.url, first) as commit, worktrees.checkout(commit) as path:
        assert {file.name: file.read_text() for file in path.iterdir() if file.is_file()} == dict.fromkeys("abc", "1")


async def test_an_index_that_was_damaged_costs_a_new_checkout_only(cache, worktrees, source):
    sha = source.commit({"a": "good"})
    async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
        pass
    path.with_suffix(".index").write_bytes(b"garbage")
    async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
        assert (path / "a").read_text() == "good"


async def test_a_worktree_replaced_by_a_link_is_not_followed(cache, worktrees, source, tmp_path):
    sha = source.commit({"a": "good"})
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
        path.rename(tmp_path / "moved")
        path.symlink_to(victim)
    async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as path:
        assert not path.is_symlink()
    assert sorted(file.name for file in victim.iterdir()) == ["precious"]


async def test_what_a_crash_left_is_swept(cache, worktrees, source, tmp_path):
    sha = source.commit({"a": "1"})
    with pytest.raises(LookupError):
        async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as crashed:
            raise LookupError
    assert crashed.is_dir()
    async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as used:
        await worktrees.sweep(tmp_path / "repositories")
        assert used.is_dir()
    with pytest.raises(LookupError):
        async with cache.commit(source.url, sha) as commit, worktrees.checkout(commit) as crashed:
            raise LookupError
    await worktrees.sweep(tmp_path / "repositories")
    assert not crashed.exists()


async def test_git_errors_carry_gits_words_without_credentials(tmp_path):
    git = Git(tmp_path, secrets=(Secret("hunter2-hunter2"),))
    with pytest.raises(PlatformError) as error:
        await git.run("cat-file", "-p", "hunter2-hunter2")
    assert "git cat-file failed" in error.value.message
    assert "hunter2" not in error.value.message


class _Refusing(http.server.BaseHTTPRequestHandler):
    seen: list[str | None]

    def do_GET(self):
        self.seen.append(self.headers.get("Authorization"))
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing_server():
    _Refusing.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/repo.git"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_credentials_are_asked_for_and_left_nowhere(cache, refusing_server, tmp_path):
    async def credentials():
        return Secret("robot:hunter2-hunter2")

    with pytest.raises(AuthenticationError, match="git_credentials") as error:
        async with cache.commit(refusing_server, "1" * 40, credentials=credentials):
            pass
    assert "Basic cm9ib3Q6aHVudGVyMi1odW50ZXIy" in _Refusing.seen
    assert "hunter2" not in error.value.message
    texts = [file.read_bytes() for file in (tmp_path / "repositories").rglob("*") if file.is_file()]
    assert not any(b"hunter2" in text for text in texts)


async def test_an_ssh_key_is_a_private_file_for_the_time_of_the_call(tmp_path):
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\nhost ssh-ed25519 AAAA"
    async with authenticated(Git(tmp_path), Secret(key)) as git:
        words = git.environment["GIT_SSH_COMMAND"].split()
        path = words[words.index("-i") + 1]
        assert os.stat(path).st_mode & 0o777 == 0o600
        with open(path) as file:
            assert file.read().endswith("-----END OPENSSH PRIVATE KEY-----\n")
        assert any(word.startswith("UserKnownHostsFile=") for word in words)
    assert not os.path.exists(path)
