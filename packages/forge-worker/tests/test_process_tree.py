"""Everything that belongs to a tree is found, whatever it did to hide; what belongs to another is left alone."""

import subprocess
import sys
from contextlib import contextmanager

from forge_worker.execution.process_tree import MARKER, ProcessTree, end_orphans, new_marker

PRINT_MARKER = "from forge_worker.execution.process_tree import new_marker; print(new_marker())"
LEAVE = (
    "setsid sh -c 'env -i sleep 600 & echo $! > hidden; exec sleep 600' & while [ ! -s hidden ]; do sleep 0.01; done"
)


@contextmanager
def sleeping(marker, **others):
    """A program of another session with that marker."""
    environment = {"PATH": "/usr/bin:/bin", **others, MARKER: marker, "B": "2"}
    with subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True) as program:
        try:
            yield program
        finally:
            program.kill()


def started(script, marker, folder):
    environment = {"PATH": "/usr/bin:/bin", MARKER: marker}
    return subprocess.Popen(["sh", "-c", script], cwd=folder, env=environment, start_new_session=True)


async def test_a_process_without_marker_is_found_below_one_that_left_the_session(tmp_path, alive, eventually):
    marker = new_marker()
    with started(LEAVE, marker, tmp_path) as program:
        tree = ProcessTree(program.pid, marker)
    hidden = int((tmp_path / "hidden").read_text())
    assert alive(hidden)
    assert await tree.end(grace_s=5)
    await eventually(lambda: not alive(hidden), "the end of the hidden process")


async def test_a_tree_whose_program_ended_before_the_first_look(tmp_path, alive, eventually):
    marker = new_marker()
    program = started(LEAVE, marker, tmp_path)
    hidden = int(
        await eventually(lambda: (tmp_path / "hidden").exists() and (tmp_path / "hidden").read_text(), "start")
    )
    await eventually(lambda: not alive(program.pid), "the end of the program, which nobody collected")
    tree = ProcessTree(program.pid, marker)
    program.wait()
    assert await tree.end(grace_s=5)
    assert not alive(hidden)


async def test_a_program_of_another_tree_is_left_alone(tmp_path, alive):
    marker = new_marker()
    with started("exit 0", marker, tmp_path) as program:
        tree = ProcessTree(program.pid, marker)
        with sleeping(new_marker()) as other:
            assert await tree.end(grace_s=5)
            assert other.poll() is None


async def test_a_large_environment_hides_nothing(tmp_path):
    marker = new_marker()
    with started("exit 0", marker, tmp_path) as program:
        tree = ProcessTree(program.pid, marker)
    with sleeping(marker, **{f"V{number}": "x" * 50_000 for number in range(10)}) as other:
        assert await tree.end(grace_s=5)
        assert other.wait(5) < 0


async def test_a_worker_that_died_and_was_not_collected_owns_nothing(eventually, alive):
    with subprocess.Popen([sys.executable, "-c", PRINT_MARKER], stdout=subprocess.PIPE, text=True) as worker:
        marker = worker.stdout.read().strip()
        await eventually(lambda: not alive(worker.pid), "the end of the worker")
        with sleeping(marker) as orphan, sleeping(new_marker()) as ours:
            assert await end_orphans() >= 1
            assert orphan.wait(5) < 0
            assert ours.poll() is None
