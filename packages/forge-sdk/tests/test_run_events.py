"""A run that is kept up to date by events is the run."""

import uuid

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_sdk.client.streams import events
from forge_sdk.errors import PlatformError
from forge_sdk.models.api import Run
from forge_sdk.models.run_events import RunEventType, RunState, changes

STATUSES = ("pending", "running", "success", "failed", "cancelled")
NOW = "2026-01-01T00:00:00Z"


def run(statuses: list[str], *, status: str = "running", warnings: tuple[str, ...] = ()) -> Run:
    tasks = [
        {
            "id": str(uuid.UUID(int=10 + number)),
            "project": f"p{number}",
            "project_path": ".",
            "status": found,
            "steps": [{"id": str(uuid.UUID(int=100 + number)), "name": "s", "action": "command", "status": found}],
        }
        for number, found in enumerate(statuses)
    ]
    phases = [{"id": str(uuid.UUID(int=1)), "name": "test", "group": 1, "status": "running", "tasks": tasks}]
    facts = {"repository": "acme/shop", "commit_sha": "a" * 40, "attempt": 1, "trigger_type": "push"}
    return Run.model_validate(
        {
            **facts,
            "id": str(uuid.UUID(int=0)),
            "triggered_by": "alice",
            "created_at": NOW,
            "status": status,
            "phases": phases if statuses else [],
            "warnings": warnings,
        }
    )


states = st.builds(
    run,
    st.lists(st.sampled_from(STATUSES), max_size=4),
    status=st.sampled_from(("pending", "running", "success")),
    warnings=st.sampled_from(((), ("careful",))),
)


@given(st.lists(states, min_size=1, max_size=6))
def test_events_add_up_to_the_run(seen: list[Run]):
    kept, before = RunState(), None
    for after in seen:
        for event in changes(before, after):
            kept.apply(event)
        assert kept.run() == after
        before = after


def test_only_what_changed_is_told():
    told = list(changes(run(["running", "running"]), run(["success", "running"])))
    assert [event.type for event in told] == [RunEventType.TASK, RunEventType.STEP]
    assert all("steps" not in event.data for event in told)
    assert list(changes(run(["running"]), run(["running"]))) == []


def test_new_tasks_make_a_new_whole_state():
    assert [event.type for event in changes(run([]), run(["pending"]))] == [RunEventType.STATE]


def test_a_change_before_the_first_state_is_nothing():
    [event] = changes(run(["running"]), run(["running"], status="success"))
    kept = RunState()
    kept.apply(event)
    assert kept.run() is None


class Content:
    """Bytes as they arrive."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks

    async def iter_any(self):
        for chunk in self.chunks:
            yield chunk


async def read(*chunks: bytes):
    content: aiohttp.StreamReader = Content(*chunks)
    return [event async for arrived in events(content) for event in arrived]


async def test_events_are_read_whatever_the_pieces_in_which_they_arrive():
    data = b'retry: 1000\n\n: still there\n\nevent: run\ndata: {"status":"success"}\n\nevent: of-later\ndata: {}\n\n'
    whole = await read(data)
    assert [(event.type, event.data) for event in whole] == [(RunEventType.RUN, {"status": "success"})]
    assert await read(*(data[at : at + 1] for at in range(len(data)))) == whole


async def test_what_is_no_event_is_said():
    with pytest.raises(PlatformError, match="upgrade the older"):
        await read(b"event: run\ndata: nonsense\n\n")


async def test_events_that_arrive_together_come_together():
    event = b'event: run\ndata: {"status":"success"}\n\n'
    content: aiohttp.StreamReader = Content(event + event, event[:10], event[10:])
    assert [len(arrived) async for arrived in events(content)] == [2, 1]
