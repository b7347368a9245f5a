import contextlib
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from forge_cmp.cache import FOLDER, Cache

PAGE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def _entries(application):
    return sorted((application.directory.parent / "cache" / FOLDER).iterdir(), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("damage", ["torn", "tampered", "empty", "exchanged"])
async def test_a_damaged_entry_is_fetched_again(application, publish, damage):
    application.point(await publish())
    expected = application.run().stdout
    for entry in _entries(application):
        content = entry.read_bytes()
        entry.write_bytes(
            {
                "torn": content[:-10],
                "tampered": content.replace(b"web", b"bad"),
                "empty": b"",
                "exchanged": _entries(application)[0].read_bytes()[:65] + content[65:-1] + b"x",
            }[damage]
        )
    run = application.run()
    assert (run.status, run.stdout) == (0, expected)


async def test_concurrent_runs_share_the_cache(application, publish):
    application.point(await publish())
    runs = [application.start() for _ in range(4)]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4
    assert {output for output, _ in outputs} == {application.run().stdout.encode()}
    assert not [entry for entry in _entries(application) if entry.name.startswith(".")]


def test_concurrent_writers_and_damage_never_give_a_wrong_body(tmp_path):
    """Many threads put, read and evict the same entries while they are torn: what is read is right or absent."""
    bodies = {b"%d" % number: bytes([number]) * 3000 for number in range(8)}
    failures = []

    def work(seed):
        cache, chance = Cache(str(tmp_path), 10_000), random.Random(seed)
        for _ in range(150):
            key = chance.choice(list(bodies))
            cache.put(bodies[key], key)
            found = cache.get(key)
            if found not in {None, bodies[key]}:
                failures.append(key)
            with contextlib.suppress(OSError, IndexError):
                entry = chance.choice(list((tmp_path / FOLDER).iterdir()))
                os.truncate(entry, chance.randrange(3000))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert not failures


async def test_a_cache_that_cannot_be_used_costs_nothing_but_time(application, publish):
    application.point(await publish())
    assert application.run(FORGE_CACHE_DIR="/proc/nowhere").status == 0
    assert application.run(FORGE_CACHE_DIR="").status == 0


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER).chmod(0o777)
    cache = Cache(str(tmp_path), 1000)
    cache.put(b"body", b"key")
    assert cache.get(b"key") is None
    assert not list((tmp_path / FOLDER).iterdir())


def test_a_linked_folder_is_not_used(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / FOLDER).symlink_to(tmp_path / "elsewhere")
    Cache(str(tmp_path), 1000).put(b"body", b"key")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_least_recently_used_entries_go(tmp_path):
    cache = Cache(str(tmp_path), 1000)
    for number in range(20):
        cache.put(b"x" * 200, b"%d" % number)
        assert cache.get(b"0") is not None
    kept = list((tmp_path / FOLDER).iterdir())
    assert sum(path.stat().st_size for path in kept) <= 1000


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path):
    cache = Cache(str(tmp_path), 100)
    cache.put(b"x" * 200, b"key")
    assert cache.get(b"key") is None


def test_keys_are_not_confused(tmp_path):
    cache = Cache(str(tmp_path), 1000)
    cache.put(b"one", b"ab", b"c")
    assert cache.get(b"a", b"bc") is None
    assert cache.get(b"ab", b"c") == b"one"
