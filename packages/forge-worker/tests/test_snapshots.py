"""A folder that was left untouched is told from one in which anything was done."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from forge_worker import snapshots
from forge_worker.snapshots import take_snapshot


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tree" / "below").mkdir(parents=True)
    for name in ("a", "below/b"):
        (tmp_path / "tree" / name).write_text("good")
    (tmp_path / "tree" / "link").symlink_to("a")
    return tmp_path / "tree"


async def test_what_only_was_read_is_as_it_was(folder):
    state = await take_snapshot(folder)
    for path in folder.rglob("*"):
        path.stat()
        if path.is_file():
            path.read_text()
    assert state.holds()


def _same_size_and_time(folder: Path) -> None:
    before = (folder / "a").stat()
    (folder / "a").write_text("evil")
    os.utime(folder / "a", ns=(before.st_atime_ns, before.st_mtime_ns))


def _through_memory(folder: Path) -> None:
    with (folder / "a").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0:1] = b"x"


def _through_a_link_outside(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.hardlink_to(folder / "below" / "b")
    outside.write_text("evil")
    outside.unlink()


def _exchanged(folder: Path) -> None:
    (folder / "a").rename(folder / "c")
    (folder / "below" / "b").rename(folder / "a")
    (folder / "c").rename(folder / "below" / "b")


def _made_and_removed(folder: Path) -> None:
    (folder / "below" / "new").touch()
    (folder / "below" / "new").unlink()


def _other_target(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("below/b")


def _moved_behind_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to("moved")


@pytest.mark.parametrize(
    "change",
    [
        _same_size_and_time,
        _through_memory,
        _through_a_link_outside,
        _exchanged,
        _made_and_removed,
        _other_target,
        _moved_behind_a_link,
        pytest.param(lambda folder: (folder / "below" / "b").chmod(0o755), id="mode"),
        pytest.param(lambda folder: (folder / "new").touch(), id="made"),
        pytest.param(lambda folder: (folder / "a").unlink(), id="removed"),
    ],
)
async def test_every_change_is_seen_however_soon_it_comes(folder, change: Callable[[Path], object]):
    state = await take_snapshot(folder)
    change(folder)
    assert not state.holds()


async def test_a_large_folder_is_not_remembered(folder, monkeypatch):
    monkeypatch.setattr(snapshots, "LARGEST", 3)
    assert await take_snapshot(folder) is None


async def test_a_file_system_with_a_clock_of_its_own_is_not_trusted(folder, monkeypatch):
    monkeypatch.setattr(snapshots.time, "clock_gettime_ns", lambda _: 0)
    assert await take_snapshot(folder) is None
