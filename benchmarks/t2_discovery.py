"""T2: discovery of a commit from its object store; and how it grows."""

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from cue_floor import floor_ms
from measure import Memory, Row, alternating, timed
from repositories import make_repository
from t3_evaluation import project_texts

from forge_cue import Evaluator
from forge_project import CommitTree, ProjectComponent
from forge_sdk.models.jobs import GitContext
from forge_sdk.plugins.manager import load_plugins

TARGET = 3.0
_ID_BYTES = 20


async def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            *await _with_floor(Path(folder) / "small.git", 5_000, 100),
            await _large(Path(folder) / "large.git", 50_000, 1_000),
        ]


async def _with_floor(store: Path, files: int, projects: int) -> list[Row]:
    commit = make_repository(store, files, projects)
    component_plugins = load_plugins()
    with _Batch(store) as batch:
        async with Evaluator() as evaluator:
            component = ProjectComponent(component_plugins, evaluator)

            async def walk() -> float:
                return await timed(lambda: asyncio.to_thread(batch.configuration, commit))

            async def read() -> float:
                return await timed(lambda: CommitTree(store, commit).files())

            async def discover() -> float:
                return await timed(lambda: component.discover(CommitTree(store, commit), GitContext(branch="main")))

            floor, evaluation, reading, whole = await alternating(
                walk, lambda: floor_ms(project_texts(projects)), read, discover
            )
    of = f"a commit of {files:,} files with {projects} projects"
    reading_ratio, allowed = reading / floor, TARGET * floor + evaluation
    return [
        Row("T2.1", f"reading the configuration of {of}", "ms", floor, reading, reading_ratio, f"<= {TARGET:g}", reading_ratio <= TARGET),
        Row(
            "T2.2",
            f"discovery of {of}, against what is allowed: {TARGET:g}x the floor of T2.1 and the evaluation by one Go process",
            "ms", allowed, whole, whole / allowed, "<= 1", whole <= allowed,
        ),
    ]  # fmt: skip


async def _large(store: Path, files: int, projects: int) -> Row:
    commit = make_repository(store, files, projects)
    memory = Memory()
    async with Evaluator() as evaluator:
        component = ProjectComponent(load_plugins(), evaluator)

        async def discover() -> float:
            return await timed(lambda: component.discover(CommitTree(store, commit), GitContext(branch="main")))

        evaluation, whole = await alternating(lambda: floor_ms(project_texts(projects)), discover, repetitions=5)
        children = sum(_resident_mib(pid) for pid in evaluator.process_ids)
    what = (
        f"discovery of a commit of {files:,} files with {projects:,} projects, against the evaluation by one Go process;"
        f" memory: Python {memory.peak:.0f} MiB, evaluators {children:.0f} MiB"
    )
    return Row("T2.3", what, "ms", evaluation, whole, whole / evaluation, "-", None)


def _resident_mib(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


class _Batch:
    """The floor: one living `git cat-file --batch`, which is asked for the trees level by level, then for the files."""

    def __init__(self, store: Path) -> None:
        command = ["git", f"--git-dir={store}", "cat-file", "--batch"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def configuration(self, commit: str) -> list[bytes]:
        level: list[tuple[bytes, bool]] = [(f"{commit}^{{tree}}".encode(), False)]
        wanted: list[bytes] = []
        while level:
            below: list[tuple[bytes, bool]] = []
            for (_, inside), tree in zip(level, self._read([name for name, _ in level]), strict=True):
                for mode, name, object_id in _entries(tree):
                    if mode == b"40000":
                        below.append((object_id, inside or name == b".forge"))
                    elif inside:
                        wanted.append(object_id)
            level = below
        return list(self._read(wanted))

    def _read(self, names: list[bytes]) -> Iterator[bytes]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        for start in range(0, len(names), 200):
            part = names[start : start + 200]
            stdin.write(b"".join(name + b"\n" for name in part))
            stdin.flush()
            for _ in part:
                size = int(stdout.readline().split()[2])
                yield stdout.read(size + 1)[:-1]


def _entries(tree: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    at = 0
    while at < len(tree):
        space, end = tree.index(b" ", at), tree.index(b"\x00", at)
        yield tree[at:space], tree[space + 1 : end], tree[end + 1 : end + 1 + _ID_BYTES].hex().encode()
        at = end + 1 + _ID_BYTES
